//! Made documents, and what a model says of them.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};
use posx_assistant::documents::MediaType;
use serde_json::{Value, json};

/// An order as its sender wrote it: one line of the offer `Seed`, at 100.00.
#[derive(Debug, Clone)]
pub struct Paper {
    pub customer: String,
    pub tax_number: String,
    pub number: String,
    pub currency: String,
    pub item: String,
    pub quantity: String,
    pub unit_price: String,
    pub amount: String,
    pub subtotal: String,
    pub tax: Option<String>,
    pub total: String,
    /// What else stands there.
    pub remark: String,
}

impl Paper {
    /// Two seeds at 100.00.
    pub fn clean(number: &str) -> Self {
        Self {
            customer: "Acme GmbH".into(),
            tax_number: "DE136695976".into(),
            number: number.into(),
            currency: "USD".into(),
            item: "Seed".into(),
            quantity: "2".into(),
            unit_price: "100.00".into(),
            amount: "200.00".into(),
            subtotal: "200.00".into(),
            tax: None,
            total: "200.00".into(),
            remark: "Thank you.".into(),
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let pair = |label: &str, value: &String| vec![label.to_owned(), value.clone()];
        let mut rows = vec![
            pair("Customer", &self.customer),
            pair("Tax number", &self.tax_number),
            pair("Order", &self.number),
            pair("Currency", &self.currency),
            vec![
                self.item.clone(),
                self.quantity.clone(),
                self.unit_price.clone(),
                self.amount.clone(),
            ],
            pair("Subtotal", &self.subtotal),
        ];
        rows.extend(self.tax.as_ref().map(|tax| pair("Tax", tax)));
        rows.push(pair("Total", &self.total));
        rows.push(vec![self.remark.clone()]);
        rows
    }

    pub fn written(&self, media_type: MediaType) -> Vec<u8> {
        let joined = |by: &str| {
            let rows = self.rows();
            rows.iter().map(|row| row.join(by) + "\n").collect::<String>()
        };
        match media_type {
            MediaType::Csv => joined(",").into_bytes(),
            MediaType::Pdf => pdf(&[&joined("   ")]),
            _ => joined(":  ").into_bytes(),
        }
    }

    /// What a model says that reads it right.
    pub fn read(&self) -> Value {
        json!({
            "customer_name": said(&self.customer),
            "customer_tax_number": said(&self.tax_number),
            "number": said(&self.number),
            "currency": said(&self.currency),
            "lines": [{
                "description": said(&self.item), "quantity": said(&self.quantity),
                "unit_price": said(&self.unit_price), "amount": said(&self.amount),
            }],
            "subtotal": said(&self.subtotal),
            "discount": null,
            "tax": self.tax.as_ref().map(|tax| said(tax)),
            "shipping": null,
            "total": said(&self.total),
        })
    }
}

/// A field that quotes itself.
pub fn said(value: &str) -> Value {
    quoted(value, value)
}

pub fn quoted(value: &str, quote: &str) -> Value {
    json!({ "value": value, "confidence": 97, "page": 1, "quote": quote })
}

/// A page for each text.
pub fn pdf(texts: &[&str]) -> Vec<u8> {
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
