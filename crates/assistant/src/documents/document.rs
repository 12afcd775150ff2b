//! A document: what was announced, what arrived, what became of it.

use chrono::TimeDelta;
use posx_kernel::{DocumentId, IdentityId, Timestamp};
use serde::{Deserialize, Serialize};

use super::DocumentError;

pub const DOCUMENT_BYTES_MAX: u32 = 20 * 1024 * 1024;
/// How long a file may be sent after it was announced.
pub(super) const UPLOAD_TIME: TimeDelta = TimeDelta::minutes(15);
const NAME_CHARS_MAX: usize = 200;

/// States and kinds that are stored and shown by a stable name.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }

        // By hand: the derive does not see a literal that comes out of a macro.
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some([$($text),+]))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(super) use named;

named! {
    MediaType {
        Pdf = "application/pdf",
        Png = "image/png",
        Jpeg = "image/jpeg",
        Webp = "image/webp",
        Plain = "text/plain",
        Csv = "text/csv",
    }
}

impl MediaType {
    pub const fn is_image(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg | Self::Webp)
    }

    /// Whether the bytes are of this type, by their first ones. Text is UTF-8 without control characters.
    pub fn matches(self, bytes: &[u8]) -> bool {
        match self {
            Self::Pdf => bytes.starts_with(b"%PDF-"),
            Self::Png => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
            Self::Jpeg => bytes.starts_with(&[0xff, 0xd8, 0xff]),
            Self::Webp => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
            Self::Plain | Self::Csv => {
                let text = std::str::from_utf8(bytes);
                text.is_ok_and(|text| !text.chars().any(is_control) && !Self::Pdf.matches(bytes))
            }
        }
    }
}

fn is_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}')
}

named! {
    /// What a document is to become.
    DraftKind {
        Order = "order",
        /// A party that the site sells to.
        Customer = "customer",
    }
}

named! {
    DocumentState {
        AwaitingUpload = "awaiting_upload",
        /// The file is here and waits to be read.
        Uploaded = "uploaded",
        /// There is a draft.
        Read = "read",
        Unreadable = "unreadable",
        /// What arrived is not what was announced. The file is deleted.
        Refused = "refused",
        /// Nothing arrived in time.
        Expired = "expired",
    }
}

named! {
    /// Why a file is not taken, or nothing could be read out of it.
    Unusable {
        SizeDiffers = "size_differs",
        TypeDiffers = "type_differs",
        /// Deleted at the storage by somebody else.
        FileGone = "file_gone",
        /// Not the bytes that were looked at when it arrived.
        FileChanged = "file_changed",
        PdfBroken = "pdf_broken",
        PdfEncrypted = "pdf_encrypted",
        PdfWithoutText = "pdf_without_text",
        TooManyPages = "too_many_pages",
        /// Reading it takes more memory or time than a document may.
        TooCostly = "too_costly",
        TextEmpty = "text_empty",
        TextTooLong = "text_too_long",
        /// The model's answer is not what the schema asks for.
        AnswerInvalid = "answer_invalid",
        /// The answer did not fit.
        AnswerTooLong = "answer_too_long",
        /// The model's provider does not answer to such a document.
        ModelRefused = "model_refused",
        /// The site does not let a model read its documents any more.
        NotAllowed = "not_allowed",
    }
}

/// A document of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub id: DocumentId,
    /// As the uploader calls it: shown, never a path.
    pub name: String,
    pub media_type: MediaType,
    /// As announced; what arrives has exactly this many.
    pub bytes: u32,
    pub kind: DraftKind,
    pub state: DocumentState,
    pub reason: Option<Unusable>,
    pub upload_until: Timestamp,
    pub uploaded_by: IdentityId,
    pub sha256: Option<[u8; 32]>,
    /// The text of each page; of an image none.
    pub pages: Option<Vec<String>>,
    pub created_at: Timestamp,
    pub uploaded_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    /// Since then name and text are gone.
    pub forgotten_at: Option<Timestamp>,
    pub file_gone_at: Option<Timestamp>,
}

/// What somebody is about to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument {
    pub name: String,
    pub media_type: MediaType,
    pub bytes: u32,
    pub kind: DraftKind,
}

impl NewDocument {
    /// The name without blanks around it.
    pub(super) fn check(&self) -> Result<String, DocumentError> {
        let name = self.name.trim();
        let fine =
            (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if !fine {
            return Err(DocumentError::Name);
        }
        match self.bytes {
            0 => Err(DocumentError::Empty),
            bytes if bytes > DOCUMENT_BYTES_MAX => Err(DocumentError::TooLarge),
            _ => Ok(name.to_owned()),
        }
    }
}

impl Document {
    /// Whether its file may still be sent.
    pub fn awaits(&self, now: Timestamp) -> bool {
        self.state == DocumentState::AwaitingUpload && now < self.upload_until
    }

    /// What arrived is what was announced.
    pub(super) fn uploaded(&mut self, sha256: [u8; 32], at: Timestamp) {
        self.state = DocumentState::Uploaded;
        self.sha256 = Some(sha256);
        self.uploaded_at = Some(at);
    }

    /// What arrived is something else; its file goes.
    pub(super) fn refuse(&mut self, reason: Unusable) {
        self.state = DocumentState::Refused;
        self.reason = Some(reason);
    }

    pub(super) fn unreadable(&mut self, reason: Unusable, at: Timestamp) {
        self.state = DocumentState::Unreadable;
        self.reason = Some(reason);
        self.read_at = Some(at);
    }

    pub(super) fn read(&mut self, pages: Option<Vec<String>>, at: Timestamp) {
        self.state = DocumentState::Read;
        self.pages = pages;
        self.read_at = Some(at);
    }

    pub(super) fn forget(&mut self, at: Timestamp) {
        if self.state == DocumentState::AwaitingUpload {
            self.state = DocumentState::Expired;
        }
        "forgotten".clone_into(&mut self.name);
        self.pages = None;
        self.forgotten_at.get_or_insert(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_of_the_type_that_their_first_ones_say() {
        let png = b"\x89PNG\r\n\x1a\n0000".as_slice();
        for (media_type, bytes, fits) in [
            (MediaType::Pdf, b"%PDF-1.7\n".as_slice(), true),
            (MediaType::Pdf, b"MZ\x90\0".as_slice(), false),
            (MediaType::Png, png, true),
            (MediaType::Jpeg, png, false),
            (MediaType::Jpeg, &[0xff, 0xd8, 0xff, 0xe0], true),
            (MediaType::Webp, b"RIFF\0\0\0\0WEBPVP8 ", true),
            (MediaType::Webp, b"RIFF\0\0\0\0WAVEfmt ", false),
            (MediaType::Plain, "Bestellung, 12 Stück\r\n".as_bytes(), true),
            (MediaType::Plain, b"a\0b", false),
            (MediaType::Plain, b"%PDF-1.7 as text", false),
            (MediaType::Csv, b"a,b\n1,2\n", true),
            (MediaType::Csv, &[0xff, 0xfe, 0x41], false),
        ] {
            assert_eq!(media_type.matches(bytes), fits, "{media_type:?}");
        }
    }

    #[test]
    fn a_name_is_shown_and_a_size_has_a_limit() {
        let new = |name: &str, bytes| NewDocument {
            name: name.to_owned(),
            media_type: MediaType::Pdf,
            bytes,
            kind: DraftKind::Order,
        };
        assert_eq!(new(" order.pdf ", 1).check().ok().as_deref(), Some("order.pdf"));
        assert!(matches!(new(" ", 1).check(), Err(DocumentError::Name)));
        assert!(matches!(new("a\nb", 1).check(), Err(DocumentError::Name)));
        assert!(matches!(new("a", 0).check(), Err(DocumentError::Empty)));
        assert!(new("a", DOCUMENT_BYTES_MAX).check().is_ok());
        assert!(matches!(
            new("a", DOCUMENT_BYTES_MAX + 1).check(),
            Err(DocumentError::TooLarge)
        ));
    }
}
