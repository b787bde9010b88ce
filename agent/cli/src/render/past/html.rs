//! What happened on a host, as one page that needs nothing else: no script, no font, no picture from
//! elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{COLUMNS, plot, title, values};
use crate::{
    render::foreign::printable,
    report::{PastReport, Total},
};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--faint:#80868b}
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:92rem;padding:0 1rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p,figcaption,th{color:var(--faint)}p{margin:.2rem 0}
.plots{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0;border:1px solid var(--line);border-radius:6px;padding:.5rem}
figcaption b{color:CanvasText;font-weight:600}
table{border-collapse:collapse;width:100%}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;\
font-variant-numeric:tabular-nums}
th{font-weight:500}
th.name,td.name{text-align:left;white-space:normal;overflow-wrap:anywhere}
td svg{display:block}";

/// The report as a page.
pub(crate) fn past_html(report: &PastReport) -> String {
    let title = title(report);
    let whole = &report.whole;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p { "What Hostler " (env!("CARGO_PKG_VERSION")) " has kept of this host. Times are UTC." }
                h2 { "Host" }
                div.plots {
                    @for measure in &whole.measures {
                        figure {
                            figcaption { b { (measure.as_str()) } " " (measure.meaning()) }
                            (PreEscaped(plot::plot(&whole.trend, *measure, &whole.values(*measure))))
                        }
                    }
                }
                h2 { "Groups" }
                p { "By " (report.by.meaning()) "." }
                (groups(report))
                h2 { "Agents" }
                p { "By " (report.by.meaning()) ". Each plot is of that, as high as its own most." }
                (agents(report))
            }
        }
    };
    page.into_string()
}

fn groups(report: &PastReport) -> Markup {
    html! {
        table {
            thead { tr { th.name { "group" } (titles()) } }
            tbody {
                @for total in &report.groups {
                    tr { td.name { (printable(&total.series.group)) } (cells(total)) }
                }
            }
        }
        (more(report.more_groups, "groups"))
    }
}

fn agents(report: &PastReport) -> Markup {
    html! {
        table {
            thead {
                tr { th.name { "agent" } th.name { "group" } th.name { "over time" } (titles()) }
            }
            tbody {
                @for (total, trend) in &report.agents {
                    tr {
                        td.name { (printable(&total.series.name)) }
                        td.name { (printable(&total.series.group)) }
                        td { (PreEscaped(plot::small(&trend.values(report.by)))) }
                        (cells(total))
                    }
                }
            }
        }
        (more(report.more_agents, "agents"))
    }
}

fn titles() -> Markup {
    html! {
        @for (measure, title) in COLUMNS {
            th title=(measure.meaning()) { (title.to_lowercase()) }
        }
    }
}

fn cells(total: &Total) -> Markup {
    html! { @for value in values(&total.sample) { td { (value) } } }
}

fn more(left_out: usize, kind: &str) -> Markup {
    html! { @if left_out > 0 { p { "… and " (left_out) " more " (kind) } } }
}
