//! What whoever asks can read: by the headers `Accept` and `Accept-Encoding`.

use crate::metrics::Format;

/// How an answer is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::service) enum Encoding {
    /// As it is.
    Plain,
    /// By gzip.
    Gzip,
}

/// `OpenMetrics` for who would rather have it than plain text, else classic text, which whoever looks
/// with a browser can read.
pub(super) fn format(accept: &str) -> Format {
    let mut best = (0.0, Format::Classic);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next() {
            Some("application/openmetrics-text") => Format::OpenMetrics,
            Some("text/plain" | "text/*" | "*/*") => Format::Classic,
            _ => continue,
        };
        let parameters: Vec<&str> = parts.collect();
        let version = parameters
            .iter()
            .find_map(|part| part.strip_prefix("version="));
        let is_known = match format {
            Format::OpenMetrics => matches!(version, None | Some("1.0.0" | "0.0.1")),
            Format::Classic => matches!(version, None | Some("0.0.4")),
        };
        let quality = quality(&parameters);
        if is_known && quality > best.0 {
            best = (quality, format);
        }
    }
    best.1
}

/// gzip for who takes it.
pub(super) fn encoding(accept: &str) -> Encoding {
    let takes_gzip = accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_gzip = matches!(parts.next(), Some("gzip" | "x-gzip" | "*"));
        is_gzip && quality(&parts.collect::<Vec<_>>()) > 0.0
    });
    if takes_gzip {
        Encoding::Gzip
    } else {
        Encoding::Plain
    }
}

fn quality(parameters: &[&str]) -> f64 {
    let said = parameters.iter().find_map(|part| part.strip_prefix("q="));
    said.map_or(1.0, |quality| quality.parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_gets_openmetrics_and_a_browser_gets_text() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert_eq!(format(prometheus), Format::OpenMetrics);
        assert_eq!(format(browser), Format::Classic);
        assert_eq!(format("*/*"), Format::Classic);
        assert_eq!(format(""), Format::Classic);
    }

    #[test]
    fn what_is_preferred_wins_and_a_version_to_come_does_not() {
        let less = "application/openmetrics-text;version=1.0.0;q=0.4,text/plain;q=0.5";
        assert_eq!(format(less), Format::Classic);
        let newer = "application/openmetrics-text; version=2.0.0, text/plain; q=0.1";
        assert_eq!(format(newer), Format::Classic);
        let refused = "application/openmetrics-text;q=0";
        assert_eq!(format(refused), Format::Classic);
    }

    #[test]
    fn gzip_is_for_who_takes_it() {
        assert_eq!(encoding("gzip"), Encoding::Gzip);
        assert_eq!(encoding("deflate, gzip;q=1.0, *;q=0.5"), Encoding::Gzip);
        for plain in ["", "deflate", "gzip;q=0", "identity", "gzip;q=x"] {
            assert_eq!(encoding(plain), Encoding::Plain, "{plain}");
        }
    }
}
