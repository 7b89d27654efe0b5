//! Which addresses may be asked for media: public ones, and those of a network of one's own only if the operator says so.
//!
//! <https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is to somebody who was told of it by a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Anybody may be sent there.
    Public,
    /// Part of a network of one's own: asked only for hosts that are named as such.
    Private(&'static str),
    /// Never asked, whatever a configuration says.
    Closed(&'static str),
}

/// Machines at public addresses that are only there for the clouds' own guests: Azure's agent.
const AGENTS_V4: [Ipv4Addr; 1] = [Ipv4Addr::new(168, 63, 129, 16)];

/// Metadata services among the private addresses: Alibaba's; those of AWS and Google in IPv6.
const METADATA_V4: [Ipv4Addr; 1] = [Ipv4Addr::new(100, 100, 100, 200)];
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Judge an address.
pub(super) fn judge(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

fn v4(address: Ipv4Addr) -> Reach {
    use Reach::{Closed, Private, Public};
    if METADATA_V4.contains(&address) || AGENTS_V4.contains(&address) {
        return Closed("a cloud's metadata service");
    }
    match address.octets() {
        [0, ..] => Closed("this network"),
        [10, ..] | [192, 168, ..] => Private("a private network"),
        [172, second, ..] if second & 0xf0 == 16 => Private("a private network"),
        [100, second, ..] if second & 0xc0 == 64 => Private("a carrier's network"),
        [127, ..] => Private("the gateway's own machine"),
        [169, 254, ..] => Closed("local to a link, as metadata services are"),
        [192, 0, 0, _] => Closed("reserved for protocols"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Closed("reserved for documentation"),
        [192, 88, 99, _] => Closed("a relay between protocols"),
        [198, 18 | 19, ..] => Private("a network for benchmarks"),
        [224..=239, ..] => Closed("multicast"),
        [240..=255, ..] => Closed("reserved"),
        _ => Public,
    }
}

fn v6(address: Ipv6Addr) -> Reach {
    use Reach::{Closed, Private, Public};
    if METADATA_V6.contains(&address) {
        return Closed("a cloud's metadata service");
    }
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Private("the gateway's own machine"),
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0xfc00..=0xfdff, ..] => Private("a private network"),
        [0xfe80..=0xfebf, ..] => Closed("local to a link, as metadata services are"),
        [0xff00..=0xffff, ..] => Closed("multicast"),
        // protocols' own, Teredo and ORCHID among them
        [0x2001, 0..=0x1ff, ..] => Closed("reserved for protocols"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Closed("reserved for documentation"),
        // 6to4: an address of IPv4 that some relay would be asked for
        [0x2002, ..] => Closed("a relay between protocols"),
        [0x2000..=0x3fff, ..] => Public,
        _ => Closed("reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_known_by_both_its_ends() {
        let check = |expected: fn(Reach) -> bool, addresses: &[&str]| {
            for address in addresses {
                let reach = judge(address.parse().expect(address));
                assert!(expected(reach), "{address} is {reach:?}");
            }
        };
        check(
            |reach| matches!(reach, Reach::Private(_)),
            &[
                "10.0.0.0",
                "10.255.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "192.168.0.0",
                "192.168.255.255",
                "100.64.0.0",
                "100.127.255.255",
                "127.0.0.1",
                "127.255.255.255",
                "198.18.0.0",
                "198.19.255.255",
                "::1",
                "fc00::",
                "fdff:ffff::1",
                "::ffff:10.0.0.1",
                "::ffff:127.0.0.1",
                "64:ff9b::10.0.0.1",
                "64:ff9b::7f00:1",
            ],
        );
        check(
            |reach| matches!(reach, Reach::Closed(_)),
            &[
                "0.0.0.0",
                "0.255.255.255",
                "169.254.0.0",
                "169.254.169.254",
                "169.254.170.2",
                "169.254.255.255",
                "192.0.0.0",
                "192.0.0.192",
                "192.0.2.1",
                "198.51.100.1",
                "203.0.113.255",
                "192.88.99.1",
                "224.0.0.1",
                "239.255.255.255",
                "240.0.0.0",
                "255.255.255.255",
                "100.100.100.200",
                "168.63.129.16",
                "::",
                "::10.0.0.1",
                "::8.8.8.8",
                "::ffff:169.254.169.254",
                "::ffff:0.0.0.0",
                "64:ff9b::a9fe:a9fe",
                "64:ff9b:1::1",
                "100::1",
                "2001::1",
                "2001:2::1",
                "2001:10::",
                "2001:1ff:ffff::",
                "2001:db8::1",
                "3fff::1",
                "3fff:fff::1",
                "2002:7f00:1::",
                "2002:a00:1::",
                "5f00::1",
                "fd00:ec2::254",
                "fd20:ce::254",
                "fe80::1",
                "febf::1",
                "fec0::1",
                "ff02::1",
                "ffff::1",
                "4000::1",
                "1::",
            ],
        );
        check(
            |reach| reach == Reach::Public,
            &[
                "1.1.1.1",
                "8.8.8.8",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.1",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.1.1",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "223.255.255.255",
                "168.63.129.17",
                "::ffff:8.8.8.8",
                "64:ff9b::808:808",
                "2001:200::1",
                "2001:4860:4860::8888",
                "2606:4700::1111",
                "2a00::1",
                "3ffe::1",
                "3fff:1000::1",
            ],
        );
    }
}
