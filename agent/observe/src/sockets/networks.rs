//! Who is who by address: peers that the user has named, loopback, and the host's own addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use hostler_common::peer::{MAX_NAMED, PORT_BITS, class};
use hostler_decide::peers::CLASS_NAMES;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::ifaddrs::getifaddrs;

/// The longest name that a peer can be given, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Peers that can be given a name.
pub const MOST_NAMED_PEERS: usize = MAX_NAMED as usize;

/// Who is at the other end of sockets, as the user has named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPeer {
    /// The name.
    pub name: String,
    /// Where it is.
    pub networks: Vec<Network>,
}

/// Addresses, of all ports or of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    /// The addresses.
    pub addresses: IpNet,
    /// The port; all of them if not said.
    pub port: Option<u16>,
}

impl FromStr for NamedPeer {
    type Err = String;

    /// Reads `NAME=WHERE[,WHERE…]`, where each `WHERE` is an address, a network or a host's name, each
    /// with a port or without. A host's name is looked up at once.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, places) = text
            .split_once('=')
            .ok_or("no '=' in it; write NAME=ADDRESS, for example model=203.0.113.7:443")?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
            return Err(format!(
                "a name has 1 to {MAX_NAME_BYTES} letters, digits, dots, dashes and underscores"
            ));
        }
        if CLASS_NAMES.contains(&name) {
            return Err(format!("'{name}' is a name that Hostler gives itself"));
        }
        let networks: Result<Vec<Vec<Network>>, String> = places.split(',').map(place).collect();
        Ok(Self {
            name: name.to_owned(),
            networks: networks?.concat(),
        })
    }
}

/// One place: all that it stands for.
fn place(text: &str) -> Result<Vec<Network>, String> {
    if let Some(network) = literal(text) {
        return match network.port {
            Some(0) => port_of("0").map(|_| Vec::new()),
            _ => Ok(vec![network]),
        };
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port_of(port)?)),
        None => (text, None),
    };
    if host.is_empty() || host.contains([':', '[', ']', '/']) {
        return Err(format!(
            "'{text}' is no address, network or host; write for example 203.0.113.7:443, \
             10.0.0.0/8, [2001:db8::]/32 or api.example.com:443"
        ));
    }
    let found = (host, port.unwrap_or(0))
        .to_socket_addrs()
        .map_err(|error| format!("'{host}' could not be looked up: {error}"))?;
    Ok(found
        .map(|found| Network {
            addresses: found.ip().into(),
            port,
        })
        .collect())
}

/// An address or a network, with a port or without; one of IPv6 stands in brackets if anything
/// follows it.
fn literal(text: &str) -> Option<Network> {
    let whole = |addresses| Network {
        addresses,
        port: None,
    };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(whole(address.into()));
    }
    if let Ok(addresses) = text.parse::<IpNet>() {
        return Some(whole(addresses.trunc()));
    }
    if let Ok(end) = text.parse::<SocketAddr>() {
        return Some(Network {
            addresses: end.ip().into(),
            port: Some(end.port()),
        });
    }
    // What is left: 10.0.0.0/8:443, [2001:db8::]/32 and [2001:db8::]/32:443.
    let (network, port) = match text.rsplit_once(':') {
        Some((network, port)) if network.contains('/') => (network, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    let addresses: IpNet = network.replace(['[', ']'], "").parse().ok()?;
    Some(Network {
        addresses: addresses.trunc(),
        port,
    })
}

fn port_of(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("'{text}' is no port: write 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

/// A network as the kernel's programs look it up: how many bits count, and the bytes of a
/// [`hostler_common::peer::NetworkKey`].
pub(crate) fn key(network: &Network) -> (u32, [u8; 18]) {
    let (address, length) = match network.addresses {
        IpNet::V4(net) => (
            net.addr().to_ipv6_mapped(),
            96 + u32::from(net.prefix_len()),
        ),
        IpNet::V6(net) => (net.addr(), u32::from(net.prefix_len())),
    };
    let mut bytes = [0; 18];
    bytes[..2].copy_from_slice(&network.port.unwrap_or(0).to_be_bytes());
    bytes[2..].copy_from_slice(&address.octets());
    (PORT_BITS + length, bytes)
}

/// Which networks are whose: the class of each. The user's names win over what Hostler knows itself.
pub(crate) fn classes(named: &[NamedPeer], own: &BTreeSet<IpAddr>) -> BTreeMap<Network, u32> {
    let whole = |addresses| Network {
        addresses,
        port: None,
    };
    let loopback = [
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    ];
    let host = own
        .iter()
        .filter(|address| !address.is_loopback())
        .map(|&address| (whole(address.into()), class::HOST));
    let named = (class::FIRST_NAMED..)
        .zip(named)
        .flat_map(|(class, peer)| peer.networks.iter().map(move |&network| (network, class)));
    loopback
        .map(|network| (whole(network), class::LOOPBACK))
        .into_iter()
        .chain(host)
        .chain(named)
        .collect()
}

/// The addresses of this thread's network namespace.
pub(crate) fn own_addresses() -> io::Result<BTreeSet<IpAddr>> {
    let addresses = getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let ipv4 = address.as_sockaddr_in().map(|end| IpAddr::V4(end.ip()));
        ipv4.or_else(|| address.as_sockaddr_in6().map(|end| IpAddr::V6(end.ip())))
    });
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks(text: &str) -> Vec<String> {
        let peer: NamedPeer = text.parse().expect("it is well written");
        let shown = |network: &Network| match network.port {
            Some(port) => format!("{} port {port}", network.addresses),
            None => network.addresses.to_string(),
        };
        peer.networks.iter().map(shown).collect()
    }

    #[test]
    fn a_place_is_an_address_or_a_network_with_a_port_or_without() {
        assert_eq!(networks("model=203.0.113.7"), ["203.0.113.7/32"]);
        assert_eq!(
            networks("model=203.0.113.7:443,198.51.100.0/24:80"),
            ["203.0.113.7/32 port 443", "198.51.100.0/24 port 80"]
        );
        assert_eq!(networks("tools=10.1.2.3/8"), ["10.0.0.0/8"]);
        assert_eq!(
            networks("tools=2001:db8::1,[2001:db8::1]:8080,2001:db8::/32,[2001:db8::]/32:8080"),
            [
                "2001:db8::1/128",
                "2001:db8::1/128 port 8080",
                "2001:db8::/32",
                "2001:db8::/32 port 8080"
            ]
        );
    }

    #[test]
    fn a_host_is_looked_up() {
        assert!(networks("tools=localhost:80").contains(&"127.0.0.1/32 port 80".to_owned()));
    }

    #[test]
    fn what_is_no_peer_is_refused_with_what_to_write_instead() {
        let refused = |text: &str| text.parse::<NamedPeer>().expect_err("it is wrong");
        assert!(refused("203.0.113.7").contains("NAME=ADDRESS"));
        assert!(refused("=203.0.113.7").contains("name"));
        assert!(refused("lan=203.0.113.7").contains("Hostler"));
        assert!(refused("model=203.0.113.7:0").contains("port"));
        assert!(refused("model=[::1").contains("write for example"));
        assert!(refused("model=").contains("write for example"));
    }

    #[test]
    fn the_user_s_name_for_an_address_wins_over_what_is_known_of_it() {
        let named: NamedPeer = "tools=192.0.2.1".parse().expect("it is well written");
        let own = BTreeSet::from(["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().expect("one")));
        let classes = classes(std::slice::from_ref(&named), &own);
        let class_of = |text: &str| {
            classes[&Network {
                addresses: text.parse().expect("a network"),
                port: None,
            }]
        };
        assert_eq!(class_of("192.0.2.1/32"), class::FIRST_NAMED);
        assert_eq!(class_of("192.0.2.2/32"), class::HOST);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_a_peer_or_refused(text in "[a-z=0-9.:/\\[\\],]{0,40}") {
            // No name of a host, which would be looked up.
            prop_assume!(!text.split_once('=').is_some_and(|(_, places)| places.contains(char::is_alphabetic)));
            let _either = text.parse::<NamedPeer>();
        }

        #[test]
        fn an_ipv4_network_is_looked_up_as_mapped_into_ipv6(address in any::<[u8; 4]>(), length in 0_u8..=32) {
            let addresses = IpNet::V4(Ipv4Net::new_assert(address.into(), length));
            let (bits, bytes) = key(&Network { addresses, port: Some(443) });
            prop_assert_eq!(bits, 16 + 96 + u32::from(length));
            prop_assert_eq!(&bytes[..2], &443_u16.to_be_bytes());
            prop_assert_eq!(&bytes[12..14], &[0xff, 0xff]);
            prop_assert_eq!(&bytes[14..], &address);
        }
    }
}
