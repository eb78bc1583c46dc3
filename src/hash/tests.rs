use super::*;

/// Bytes that look random and are the same in every run.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut counter = seed << 32;
    while out.len() < length {
        out.extend(sha256(&counter.to_le_bytes()));
        counter += 1;
    }
    out.truncate(length);
    out
}

fn reference(message: &[u8]) -> Digest {
    sha256(&sha256(message))
}

#[test]
fn nist_vectors() {
    assert_eq!(to_hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(to_hex(&sha256(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let mut pieces = Sha256::new();
    pieces.update(b"abcdbcdecdefdefgefghfghighijhijk");
    pieces.update(b"ijkljklmklmnlmnomnopnopq");
    let expected = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
    assert_eq!(to_hex(&pieces.finish()), expected);
    let million = vec![b'a'; 1_000_000];
    assert_eq!(to_hex(&sha256(&million)), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

#[test]
fn messages_of_every_length_agree_with_sha2() {
    let message = bytes(1, 1_100);
    for length in 0..=message.len() {
        let message = &message[..length];
        assert_eq!(sha256d(message), reference(message), "length {length}");
    }
}

#[test]
fn pairs_and_headers_agree_with_sha2() {
    for seed in 0..50u8 {
        let left = sha256(&[seed]);
        let right = sha256(&[seed, 1]);
        assert_eq!(sha256d_pair(&left, &right), reference(&[left, right].concat()));
        let mut header = [seed; 80];
        header[10] = 99;
        let hasher = HeaderHasher::new(&header);
        for nonce in [0, 1, u32::from(seed) << 20, u32::MAX] {
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            assert_eq!(hasher.hash(nonce), reference(&header));
        }
    }
}

/// `cargo test kernels_that_ran -- --nocapture` shows the list.
#[test]
fn kernels_that_ran() {
    for name in Platform::ALL_NAMES {
        match Platform::named(name) {
            Ok(platform) => println!("hashing kernel {platform}: tested here, {} lanes", platform.lanes()),
            Err(error) => println!("hashing kernel {name}: NOT tested here: {error}"),
        }
    }
    let available = Platform::available();
    assert_eq!(Platform::detect(), available[0]);
    assert_eq!(available.last(), Some(&Platform::PORTABLE), "runs everywhere");
}

#[test]
fn unknown_and_missing_kernels_are_refused_by_name() {
    let error = Platform::named("avx9000").unwrap_err().to_string();
    assert!(error.contains("\"avx9000\"") && error.contains("portable"), "{error}");
    for name in Platform::ALL_NAMES {
        match Platform::named(name) {
            Ok(platform) => assert_eq!(platform.name(), name),
            Err(PlatformError::Missing { name: missing, .. }) => assert_eq!(missing, name),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_choice_stands() {
    let chosen = Platform::chosen();
    assert_eq!(chosen.force(), Ok(()));
    for other in Platform::available().into_iter().filter(|&other| other != chosen) {
        assert_eq!(other.force(), Err(PlatformError::TooLate { chosen, asked: other }));
    }
    assert_eq!(Platform::chosen(), chosen);
}

/// Batches of every size around the kernels' lanes, of messages of this length.
fn batches_agree<const N: usize>() {
    // No longer than they are, so that a sanitizer sees who reads on.
    let flat = bytes(N as u64 + 7, 70 * N).into_boxed_slice();
    let (messages, _) = flat.as_chunks::<N>();
    let expected: Vec<Digest> = messages.iter().map(|message| reference(message)).collect();
    let once: Vec<Digest> = messages.iter().map(|message| sha256(message)).collect();
    for platform in Platform::available() {
        for count in (0..=34).chain([47, 48, 49, 63, 64, 65, 70]) {
            // Not only from the first message on, so that addresses vary.
            let from = 70 - count;
            let mut out = vec![[0; 32]; count];
            sha256d_each(platform, &messages[from..], &mut out);
            assert_eq!(out, expected[from..], "{platform}, {count} messages of {N} bytes");
            sha256_each(platform, &messages[from..], &mut out);
            assert_eq!(out, once[from..], "{platform}, {count} messages of {N} bytes, once");
        }
    }
}

#[test]
fn every_kernel_agrees_with_sha2_on_every_message_length() {
    // Lengths in use, then both sides of where a message begins to need another block.
    batches_agree::<32>();
    batches_agree::<64>();
    batches_agree::<80>();
    batches_agree::<96>();
    batches_agree::<128>();
    batches_agree::<160>();
    batches_agree::<192>();
    batches_agree::<224>();
    batches_agree::<256>();
    batches_agree::<320>();
    batches_agree::<1>();
    batches_agree::<55>();
    batches_agree::<56>();
    batches_agree::<63>();
    batches_agree::<65>();
    batches_agree::<119>();
    batches_agree::<120>();
    batches_agree::<127>();
    batches_agree::<1_000>();
}

#[test]
#[should_panic(expected = "as many digests as messages")]
fn a_message_too_many_is_a_bug() {
    sha256d_each(Platform::detect(), &[[0; 64]; 3], &mut [[0; 32]; 2]);
}

fn header(seed: u64) -> [u8; 80] {
    bytes(seed ^ 0xffff, 80).try_into().unwrap()
}

/// A target that every `2^bits`-th digest meets.
fn target(bits: usize) -> Digest {
    let mut target = [0xff; 32];
    for bit in 0..bits {
        target[31 - bit / 8] &= !(0x80 >> (bit % 8));
    }
    target
}

fn lowest_by_reference(header: &[u8; 80], target: &Digest, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let mut header = *header;
    range.into_iter().find(|nonce| {
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        reference(&header).iter().rev().le(target.iter().rev())
    })
}

#[test]
fn every_kernel_finds_the_lowest_nonce_of_every_range() {
    for seed in 0..60u64 {
        let header = header(seed);
        let target = target(seed as usize % 15);
        let search = NonceSearch::new(&header, &target);
        let start = u32::from_le_bytes(bytes(seed, 4).try_into().unwrap());
        for length in [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 300, 2_000] {
            for range in [0..=length, start..=start.saturating_add(length), u32::MAX - length..=u32::MAX] {
                let expected = lowest_by_reference(&header, &target, range.clone());
                for platform in Platform::available() {
                    let found = search.lowest(platform, range.clone());
                    assert_eq!(found, expected, "{platform}, header {seed}, {range:?}");
                }
            }
        }
        #[allow(clippy::reversed_empty_ranges)]
        let empty = 5..=4;
        assert_eq!(search.lowest(Platform::detect(), empty), None);
    }
}

/// After a candidate that fails, the search goes on right behind it.
#[test]
fn a_candidate_that_fails_hides_no_later_nonce() {
    let header = header(3);
    let hasher = HeaderHasher::new(&header);
    for first in 0..1_500u32 {
        let mut target = hasher.hash(first);
        target[..28].fill(0);
        let search = NonceSearch::new(&header, &target);
        let range = first..=first + 70;
        let expected = range.clone().find(|&nonce| search.wins(nonce));
        for platform in Platform::available() {
            assert_eq!(search.lowest(platform, range.clone()), expected, "{platform}, {range:?}");
        }
    }
}

#[test]
fn a_digest_whose_top_word_is_the_targets_is_judged_by_the_rest() {
    for seed in 0..20u64 {
        let mut header = header(seed);
        header[76..].copy_from_slice(&77u32.to_le_bytes());
        let digest = reference(&header);
        let mut below = digest;
        below[0] = below[0].wrapping_sub(1);
        if digest[0] == 0 {
            continue;
        }
        for platform in Platform::available() {
            assert_eq!(NonceSearch::new(&header, &digest).lowest(platform, 77..=77), Some(77), "{platform}");
            assert_eq!(NonceSearch::new(&header, &below).lowest(platform, 77..=77), None, "{platform}");
        }
    }
}
