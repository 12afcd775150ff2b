//! The text of a document.

use async_trait::async_trait;

use super::{MediaType, Unusable};

pub const PAGES_MAX: usize = 100;
/// Of all pages together: about 40 pages of close print.
pub const TEXT_BYTES_MAX: usize = 96 * 1024;

/// Why a PDF gave no text.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// It is the document's fault, and stays so.
    #[error("the PDF cannot be read: {}", .0.as_str())]
    Unusable(Unusable),
    /// It is ours.
    #[error("the reader of PDFs did not run")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads PDFs where whatever is in them harms nobody else: in bounded time and memory.
#[async_trait]
pub trait PdfReader: Send + Sync + std::fmt::Debug {
    /// The text of each page: at most [`PAGES_MAX`], and of all together at most about [`TEXT_BYTES_MAX`].
    async fn pages(&self, pdf: Vec<u8>) -> Result<Vec<String>, PdfError>;
}

/// The text of each page; none of an image, which only a model can read.
pub(super) async fn pages(
    media_type: MediaType,
    bytes: Vec<u8>,
    pdf: &dyn PdfReader,
) -> Result<Option<Vec<String>>, PdfError> {
    if media_type.is_image() {
        return Ok(None);
    }
    let (pages, of_pdf) = match media_type {
        MediaType::Pdf => (pdf.pages(bytes).await?, true),
        _ => (split(bytes)?, false),
    };
    let pages: Vec<String> = pages.iter().map(|page| printable(page)).collect();
    let empty = pages.iter().all(|page| page.trim().is_empty());
    let reason = match pages.len() {
        _ if empty && of_pdf => Unusable::PdfWithoutText,
        _ if empty => Unusable::TextEmpty,
        count if count > PAGES_MAX => Unusable::TooManyPages,
        _ if pages.iter().map(String::len).sum::<usize>() > TEXT_BYTES_MAX => Unusable::TextTooLong,
        _ => return Ok(Some(pages)),
    };
    Err(PdfError::Unusable(reason))
}

/// Plain text has pages where it has form feeds.
fn split(bytes: Vec<u8>) -> Result<Vec<String>, PdfError> {
    let text = String::from_utf8(bytes).map_err(|_| PdfError::Unusable(Unusable::TypeDiffers))?;
    Ok(text.split('\u{c}').map(str::to_owned).collect())
}

/// Without control characters: the database takes no NUL, and a reader sees none of them. Each becomes what keeps apart what it
/// stood between: two numbers never become one.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        '\r' | '\u{b}' | '\u{c}' | '\u{85}' => '\n',
        c if c.is_control() => ' ',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_control_character_keeps_apart_stays_apart() {
        for (text, left) in [
            ("Qty 2\r100.00", "Qty 2\n100.00"),
            ("Qty 2\r\n100.00\r\n", "Qty 2\n100.00\n"),
            ("2\r\r100", "2\n\n100"),
            ("2\u{85}100\u{b}3", "2\n100\n3"),
            ("2\u{0}100\u{1}3", "2 100 3"),
            ("a\tb\nc", "a\tb\nc"),
        ] {
            assert_eq!(printable(text), left, "{text:?}");
        }
    }

    #[tokio::test]
    async fn lines_of_an_old_mac_are_lines() {
        #[derive(Debug)]
        struct NoPdf;
        #[async_trait]
        impl PdfReader for NoPdf {
            async fn pages(&self, _: Vec<u8>) -> Result<Vec<String>, PdfError> {
                Err(PdfError::Unusable(Unusable::PdfBroken))
            }
        }
        let read = pages(MediaType::Plain, b"Qty 2\r100.00".to_vec(), &NoPdf).await;
        assert_eq!(read.unwrap(), Some(vec!["Qty 2\n100.00".to_owned()]));
    }
}
