//! The e-mail adapter: SMTP over TLS, or a folder of files for development and the demo.
//!
//! Invariants:
//! * A message is one recipient, one subject, one body in plain text: nothing that a message holds makes a second header.
//! * "Refused" is what the server said of the address, for good. Whatever else goes wrong is unknown, and may be sent again.
//! * No error names an address or quotes what a server said: servers repeat addresses.

mod compose;
mod folder;
mod smtp;
#[cfg(test)]
mod tests;

pub use compose::{Sender, SenderError};
pub use folder::FolderMailer;
pub use smtp::{SmtpAddressError, SmtpMailer};
