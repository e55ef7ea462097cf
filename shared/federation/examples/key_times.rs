//! The time that RSA takes on this machine.
//! `cargo run --release -p eko-federation --example key_times` prints medians and maxima. The
//! figures of `docs/decisions/0009-rsa.md` come from it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use eko_federation::keys::{KeyFault, PublicKey, SigningKey};

/// A text about as long as the signed text of a request.
const BASE: [u8; 300] = [b'x'; 300];

fn main() -> Result<(), KeyFault> {
    let pem = SigningKey::generate()?;
    let key = SigningKey::from_pem(&pem)?;
    let public = PublicKey::from_pem(key.public_pem())?;
    let signature = key.sign(&BASE)?;
    print("generate 2048", 40, || drop(black_box(SigningKey::generate())));
    print("read a private key", 1_000, || drop(black_box(SigningKey::from_pem(&pem))));
    print("sign", 2_000, || drop(black_box(key.sign(&BASE))));
    print("read a public key", 10_000, || drop(black_box(PublicKey::from_pem(key.public_pem()))));
    print("verify", 10_000, || assert!(public.verify(&BASE, &signature)));
    Ok(())
}

fn print(name: &str, times: usize, run: impl Fn()) {
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    let at = |part: usize| took.get(part).copied().unwrap_or_default().as_secs_f64() * 1e6;
    println!("{name:<20} median {:>9.1} µs, longest {:>9.1} µs", at(times / 2), at(times - 1));
}
