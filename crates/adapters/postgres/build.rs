//! The migrations are part of this crate: a new file in their folder builds it again.

fn main() {
    println!("cargo::rerun-if-changed=../../../migrations");
}
