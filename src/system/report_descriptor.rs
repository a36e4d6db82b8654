//! Whether a HID report descriptor is a FIDO key's (Device Class Definition for HID 1.11, section 6.2.2).
//!
//! The bytes come from a device that anybody may have plugged in.

/// The largest descriptor that Linux takes from a device, in bytes (`HID_MAX_DESCRIPTOR_SIZE`).
pub(crate) const DESCRIPTOR_MAX: usize = 4096;

/// `FIDO_USAGE_PAGE` and `FIDO_USAGE_CTAPHID` (CTAP 2.1 section 11.2.8.2), as one extended usage.
const CTAPHID: u32 = 0xf1d0_0001;
/// The type of a collection that stands for a whole device function (section 6.2.2.6).
const APPLICATION: u32 = 0x01;
/// How deep Push items are followed, as deep as Linux does.
const PUSHES_MAX: usize = 4;

/// Whether `descriptor` is well formed and has a top-level application collection of the usage CTAPHID.
pub(crate) fn is_fido(descriptor: &[u8]) -> bool {
    descriptor.len() <= DESCRIPTOR_MAX && scan(descriptor).unwrap_or(false)
}

/// Walks all items; `None` when they are not well formed. Linux drives no device with such a descriptor.
fn scan(mut rest: &[u8]) -> Option<bool> {
    let mut found = false;
    let mut page = 0;
    let mut pushed: Vec<u32> = Vec::new();
    let mut usages: Vec<Usage> = Vec::new();
    let mut depth = 0_usize;
    while !rest.is_empty() {
        let (item, after) = Item::split(rest)?;
        rest = after;
        match item {
            Item::UsagePage(number) => page = number & 0xffff,
            Item::Push if pushed.len() < PUSHES_MAX => pushed.push(page),
            Item::Push => return None,
            Item::Pop => page = pushed.pop()?,
            Item::Usage(usage) => usages.push(usage),
            Item::Collection(kind) => {
                let ours = usages.iter().any(|usage| usage.on(page) == CTAPHID);
                found |= depth == 0 && kind == APPLICATION && ours;
                depth = depth.checked_add(1)?;
                usages.clear();
            }
            Item::EndCollection => {
                depth = depth.checked_sub(1)?;
                usages.clear();
            }
            Item::OtherMain => usages.clear(),
            Item::Other => {}
        }
    }
    (depth == 0).then_some(found)
}

/// A usage as the descriptor says it.
enum Usage {
    /// With a page of its own in the upper 16 bits.
    Extended(u32),
    /// On the page that is in force at the next main item.
    Short(u32),
}

impl Usage {
    /// The extended usage, where `page` is in force.
    fn on(&self, page: u32) -> u32 {
        match self {
            Self::Extended(usage) => *usage,
            Self::Short(usage) => (page << 16) | usage,
        }
    }
}

/// An item, as far as it matters here.
enum Item {
    Collection(u32),
    EndCollection,
    Other,
    OtherMain,
    Pop,
    Push,
    Usage(Usage),
    UsagePage(u32),
}

impl Item {
    /// The first item of `bytes` and what follows it; `None` when it is cut short.
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&prefix, rest) = bytes.split_first()?;
        // A long item (section 6.2.2.3): size, tag, data. None are defined.
        if prefix == 0xfe {
            let (&size, rest) = rest.split_first()?;
            let (_tag, rest) = rest.split_first()?;
            return Some((Self::Other, rest.get(usize::from(size)..)?));
        }
        let size = match prefix & 0b11 {
            3 => 4,
            size => usize::from(size),
        };
        let (data, rest) = rest.split_at_checked(size)?;
        let number = data.iter().rev().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        let item = match prefix & !0b11 {
            0x04 => Self::UsagePage(number),
            0x08 if size == 4 => Self::Usage(Usage::Extended(number)),
            0x08 => Self::Usage(Usage::Short(number)),
            0xa0 => Self::Collection(number),
            0xa4 => Self::Push,
            0xb4 => Self::Pop,
            0xc0 => Self::EndCollection,
            main if main & 0b1100 == 0 => Self::OtherMain,
            _ => Self::Other,
        };
        Some((item, rest))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What keys on the market answer.
    pub(crate) const KEY: &[u8] = &[
        0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75,
        0x08, 0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95,
        0x40, 0x91, 0x02, 0xc0,
    ];
    /// A boot keyboard (Device Class Definition for HID 1.11, appendix E.6).
    pub(crate) const KEYBOARD: &[u8] = &[
        0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25,
        0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01, 0x75, 0x08, 0x81, 0x01, 0x95, 0x05,
        0x75, 0x01, 0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91,
        0x01, 0x95, 0x06, 0x75, 0x08, 0x15, 0x00, 0x25, 0x65, 0x05, 0x07, 0x19, 0x00, 0x29, 0x65,
        0x81, 0x00, 0xc0,
    ];

    #[test]
    fn a_key_is_one_and_a_keyboard_is_none() {
        assert!(is_fido(KEY));
        assert!(!is_fido(KEYBOARD));
        assert!(!is_fido(&[]));
    }

    #[test]
    fn every_way_to_say_the_usage_is_understood() {
        let extended = [0x0b, 0x01, 0x00, 0xd0, 0xf1, 0xa1, 0x01, 0xc0];
        let page_after_usage = [0x09, 0x01, 0x06, 0xd0, 0xf1, 0xa1, 0x01, 0xc0];
        let page_of_four_bytes = [0x07, 0xd0, 0xf1, 0x00, 0x00, 0x0a, 0x01, 0x00, 0xa1, 0x01, 0xc0];
        let popped = [0x06, 0xd0, 0xf1, 0xa4, 0x05, 0x01, 0xb4, 0x09, 0x01, 0xa1, 0x01, 0xc0];
        for descriptor in [&extended[..], &page_after_usage, &page_of_four_bytes, &popped] {
            assert!(is_fido(descriptor), "{descriptor:02x?}");
        }
        let second_function = [KEYBOARD, KEY].concat();
        assert!(is_fido(&second_function));
    }

    #[test]
    fn the_usage_counts_on_a_top_level_application_collection_alone() {
        let nested = [0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01];
        let nested = [&nested[..], &[0xc0, 0xc0]].concat();
        let physical = [0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x00, 0xc0];
        let usage_of_another_item = [0x06, 0xd0, 0xf1, 0x09, 0x01, 0x81, 0x02, 0xa1, 0x01, 0xc0];
        let other_usage = [0x06, 0xd0, 0xf1, 0x09, 0x02, 0xa1, 0x01, 0xc0];
        for descriptor in [&nested[..], &physical, &usage_of_another_item, &other_usage] {
            assert!(!is_fido(descriptor), "{descriptor:02x?}");
        }
    }

    #[test]
    fn a_long_item_is_stepped_over_and_hides_nothing() {
        let before = [&[0xfe, 0x02, 0x00, 0xaa, 0xbb][..], KEY].concat();
        assert!(is_fido(&before));
        let hidden = [&[0xfe, 0x22, 0x00][..], KEY].concat();
        assert_eq!(KEY.len(), 0x22);
        assert!(!is_fido(&hidden));
        for cut in [&[0xfe][..], &[0xfe, 0x01], &[0xfe, 0x00], &[0xfe, 0x01, 0x00]] {
            assert!(!is_fido(&[KEY, cut].concat()), "{cut:02x?}");
        }
    }

    #[test]
    fn a_descriptor_that_is_cut_short_is_no_keys() {
        for end in 0..KEY.len() {
            assert!(!is_fido(&KEY[..end]), "{end}");
        }
    }

    #[test]
    fn hostile_descriptors_are_refused_in_bounded_time() {
        let mut unbalanced = KEY.to_vec();
        unbalanced.push(0xc0);
        assert!(!is_fido(&unbalanced));
        assert!(!is_fido(&[&[0xb4][..], KEY].concat()));
        assert!(!is_fido(&[&[0xa4; 5][..], KEY].concat()));
        assert!(!is_fido(&[0xa1; DESCRIPTOR_MAX]));
        assert!(!is_fido(&[0xff; DESCRIPTOR_MAX]));
        assert!(!is_fido(&[0x08; DESCRIPTOR_MAX]));
        assert!(!is_fido(&[KEY, &[0x00; DESCRIPTOR_MAX]].concat()));
    }

    #[test]
    fn no_flip_of_one_bit_breaks_the_parser() {
        for position in 0..KEY.len() {
            for bit in 0..8 {
                let mut flipped = KEY.to_vec();
                flipped[position] ^= 1 << bit;
                let _either = is_fido(&flipped);
            }
        }
    }
}
