//! From bytes to the text of each page.

use lopdf::{DecompressError, Document, LoadOptions};
use posx_assistant::documents::{PAGES_MAX, TEXT_BYTES_MAX, Unusable};

/// Of one stream, and of the streams of one page together.
const UNPACKED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Of one page's operations: the library keeps each as an object.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// May panic, recurse or take long on what somebody made to that end: [`ChildReader`](crate::ChildReader) calls it where that
/// harms nobody.
pub fn pages(pdf: &[u8]) -> Result<Vec<String>, Unusable> {
    let options = LoadOptions::with_max_decompressed_size(UNPACKED_BYTES_MAX);
    let document = Document::load_mem_with_options(pdf, options).map_err(|error| reason(&error))?;
    if document.is_encrypted() || document.was_encrypted() {
        return Err(Unusable::PdfEncrypted);
    }
    let count = document.page_iter().take(PAGES_MAX + 1).count();
    if count == 0 {
        return Err(Unusable::PdfBroken);
    }
    if count > PAGES_MAX {
        return Err(Unusable::TooManyPages);
    }
    let mut pages = Vec::with_capacity(count);
    let mut bytes = 0;
    for number in (1..).take(count) {
        let text = document
            .extract_text_with_limit(&[number], PAGE_BYTES_MAX)
            .map_err(|error| reason(&error))?;
        bytes += text.len();
        if bytes > TEXT_BYTES_MAX {
            return Err(Unusable::TextTooLong);
        }
        pages.push(text);
    }
    Ok(pages)
}

fn reason(error: &lopdf::Error) -> Unusable {
    match error {
        lopdf::Error::Decompress(
            DecompressError::MemoryLimitExceeded { .. } | DecompressError::TooManyFilters { .. },
        ) => Unusable::TooCostly,
        lopdf::Error::Decryption(_)
        | lopdf::Error::InvalidPassword
        | lopdf::Error::UnsupportedSecurityHandler(_) => Unusable::PdfEncrypted,
        _ => Unusable::PdfBroken,
    }
}

#[cfg(test)]
mod tests {
    use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};

    use super::*;

    /// One page for each text; a stream is packed as the filter says.
    fn pdf(texts: &[&str]) -> Vec<u8> {
        let mut pdf = Pdf::new();
        let (catalog, tree, font) = (Ref::new(1), Ref::new(2), Ref::new(3));
        let count = i32::try_from(texts.len()).unwrap();
        let page = |at: i32| Ref::new(4 + 2 * at);
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree).kids((0..count).map(page)).count(count);
        for (at, text) in (0..).zip(texts) {
            let content = Ref::new(5 + 2 * at);
            let mut one = pdf.page(page(at));
            one.media_box(Rect::new(0.0, 0.0, 595.0, 842.0))
                .parent(tree)
                .contents(content);
            one.resources().fonts().pair(Name(b"F1"), font);
            one.finish();
            let mut written = Content::new();
            written.begin_text();
            written.set_font(Name(b"F1"), 12.0);
            written.next_line(50.0, 700.0);
            for line in text.lines() {
                written.show(Str(line.as_bytes()));
                written.next_line(0.0, -14.0);
            }
            written.end_text();
            pdf.stream(content, &written.finish());
        }
        pdf.type1_font(font).base_font(Name(b"Helvetica"));
        pdf.finish()
    }

    #[test]
    fn the_text_of_each_page_is_read_in_order() {
        let read = pages(&pdf(&["Order PO-7\nTotal 25.50 EUR", "second"])).unwrap();
        assert_eq!(read.len(), 2);
        assert!(
            read[0].contains("Order PO-7") && read[0].contains("Total 25.50 EUR"),
            "{read:?}"
        );
        assert!(read[1].contains("second"), "{read:?}");
    }

    #[test]
    fn what_is_too_long_broken_or_nothing_is_told_apart() {
        assert_eq!(pages(b"%PDF-1.7 and then nothing"), Err(Unusable::PdfBroken));
        assert_eq!(pages(b""), Err(Unusable::PdfBroken));
        let many = vec!["x"; PAGES_MAX + 1];
        assert_eq!(pages(&pdf(&many)), Err(Unusable::TooManyPages));
        let whole = pdf(&["Order"]);
        let _ = pages(&whole[..whole.len() / 2]);
    }
}
