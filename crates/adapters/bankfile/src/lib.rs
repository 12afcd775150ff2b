//! Files of payments as banks take them: ISO 20022 customer credit transfers, `pain.001.001.09`.
//!
//! Invariants:
//! * The same file of payments is the same bytes, each time it is written.
//! * What the group header says of number and sum is what is in the file; else nothing is written.
//! * Every payment has an end-to-end id of its own, from the payout and its try: a bank that is given a file twice can tell.

use std::borrow::Cow;
use std::io;

use posx_commissions::{Bic, PayoutFile, Remittance};
use posx_kernel::{Kind, Money, Refusal};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, Event};

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";
/// Lengths by the schema: `Max35Text`, and the digits of an amount.
const ID_CHARACTERS_MAX: usize = 35;
const AMOUNT_DIGITS_MAX: usize = 18;

/// Why a file cannot be written. A fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("the payments do not sum to the file's total")]
    Total,
    #[error("an id is longer than 35 characters")]
    Id,
    #[error("an amount has more than 18 digits")]
    Amount,
    #[error("the file cannot be put into XML")]
    Xml(#[from] io::Error),
}

impl Refusal for FileError {
    fn code(&self) -> &'static str {
        "payout_file_unwritable"
    }

    fn kind(&self) -> Kind {
        Kind::Internal
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        None
    }
}

type Xml = Writer<Vec<u8>>;

/// One group of payments from one account in one currency.
pub fn pain001(file: &PayoutFile, payments: &[Remittance]) -> Result<Vec<u8>, FileError> {
    check(file, payments)?;
    let mut xml = Writer::new(Vec::new());
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("Document")
        .with_attribute(("xmlns", NAMESPACE))
        .write_inner_content(|xml| {
            within(xml, "CstmrCdtTrfInitn", |xml| {
                header(xml, file, payments.len())?;
                within(xml, "PmtInf", |xml| group(xml, file, payments))
            })
        })?;
    Ok(xml.into_inner())
}

fn check(file: &PayoutFile, payments: &[Remittance]) -> Result<(), FileError> {
    let mut sum = Money::zero(file.total.currency());
    for payment in payments {
        sum = sum
            .checked_add(payment.line.amount)
            .map_err(|_| FileError::Total)?;
        if end_to_end(payment).len() > ID_CHARACTERS_MAX {
            return Err(FileError::Id);
        }
    }
    if sum != file.total || payments.len() != file.lines.len() {
        return Err(FileError::Total);
    }
    if file.total.amount().bytes().filter(u8::is_ascii_digit).count() > AMOUNT_DIGITS_MAX {
        return Err(FileError::Amount);
    }
    Ok(())
}

fn header(xml: &mut Xml, file: &PayoutFile, payments: usize) -> io::Result<()> {
    within(xml, "GrpHdr", |xml| {
        text(xml, "MsgId", &message_id(file))?;
        let at = file.created_at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        text(xml, "CreDtTm", &at)?;
        text(xml, "NbOfTxs", &payments.to_string())?;
        text(xml, "CtrlSum", &file.total.amount())?;
        within(xml, "InitgPty", |xml| text(xml, "Nm", &file.debtor.name))
    })
}

fn group(xml: &mut Xml, file: &PayoutFile, payments: &[Remittance]) -> io::Result<()> {
    text(xml, "PmtInfId", &format!("{}-1", message_id(file)))?;
    text(xml, "PmtMtd", "TRF")?;
    text(xml, "NbOfTxs", &payments.len().to_string())?;
    text(xml, "CtrlSum", &file.total.amount())?;
    within(xml, "ReqdExctnDt", |xml| {
        text(xml, "Dt", &file.created_at.format("%Y-%m-%d").to_string())
    })?;
    within(xml, "Dbtr", |xml| text(xml, "Nm", &file.debtor.name))?;
    account(xml, "DbtrAcct", file.debtor.iban.as_str())?;
    within(xml, "DbtrAgt", |xml| bank(xml, file.debtor.bic.as_ref()))?;
    // In the single euro payments area the scheme's own rule is the only one.
    let bearer = if file.total.currency().code() == "EUR" {
        "SLEV"
    } else {
        "SHAR"
    };
    text(xml, "ChrgBr", bearer)?;
    payments.iter().try_for_each(|payment| transfer(xml, payment))
}

fn transfer(xml: &mut Xml, payment: &Remittance) -> io::Result<()> {
    within(xml, "CdtTrfTxInf", |xml| {
        within(xml, "PmtId", |xml| text(xml, "EndToEndId", &end_to_end(payment)))?;
        within(xml, "Amt", |xml| {
            let amount = payment.line.amount;
            xml.create_element("InstdAmt")
                .with_attribute(("Ccy", amount.currency().code()))
                .write_text_content(quick_xml::events::BytesText::new(&amount.amount()))
                .map(drop)
        })?;
        if payment.to.bic().is_some() {
            within(xml, "CdtrAgt", |xml| bank(xml, payment.to.bic()))?;
        }
        within(xml, "Cdtr", |xml| text(xml, "Nm", payment.to.holder()))?;
        account(xml, "CdtrAcct", payment.to.iban().as_str())?;
        within(xml, "RmtInf", |xml| {
            text(xml, "Ustrd", &payment.line.payout.to_string())
        })
    })
}

fn account(xml: &mut Xml, name: &str, iban: &str) -> io::Result<()> {
    within(xml, name, |xml| within(xml, "Id", |xml| text(xml, "IBAN", iban)))
}

/// The bank is known by the IBAN where no BIC is given.
fn bank(xml: &mut Xml, bic: Option<&Bic>) -> io::Result<()> {
    within(xml, "FinInstnId", |xml| match bic {
        Some(bic) => text(xml, "BICFI", bic.as_str()),
        None => within(xml, "Othr", |xml| text(xml, "Id", "NOTPROVIDED")),
    })
}

fn within(xml: &mut Xml, name: &str, inner: impl FnOnce(&mut Xml) -> io::Result<()>) -> io::Result<()> {
    xml.create_element(name).write_inner_content(inner).map(drop)
}

fn text(xml: &mut Xml, name: &str, text: &str) -> io::Result<()> {
    let text = quick_xml::events::BytesText::new(text);
    xml.create_element(name).write_text_content(text).map(drop)
}

/// Without the prefix: 35 characters are all there is.
fn message_id(file: &PayoutFile) -> String {
    file.id.as_uuid().simple().to_string()
}

fn end_to_end(payment: &Remittance) -> String {
    format!(
        "{}-{}",
        payment.line.payout.as_uuid().simple(),
        payment.line.attempt
    )
}

#[cfg(test)]
mod tests {
    use posx_commissions::testing::{at, party, usd};
    use posx_commissions::{BankDetails, Debtor, FileLine};
    use posx_kernel::{IdentityId, PayoutFileId, PayoutId};
    use quick_xml::Reader;
    use uuid::Uuid;

    use super::*;

    fn payment(name: u128, minor: i64, holder: &str, bic: Option<&str>) -> Remittance {
        Remittance {
            line: FileLine {
                payout: PayoutId::from_uuid(Uuid::from_u128(name)),
                agent: party(name),
                amount: usd(minor),
                attempt: 2,
                account_version: 1,
            },
            to: BankDetails::new(holder, "DE89370400440532013000", bic).unwrap(),
        }
    }

    fn file(payments: &[Remittance], total: i64) -> PayoutFile {
        PayoutFile {
            id: PayoutFileId::from_uuid(Uuid::from_u128(9)),
            debtor: Debtor::new("Shop & Sons", "GB82WEST12345698765432", None).unwrap(),
            total: usd(total),
            created_by: IdentityId::from_uuid(Uuid::from_u128(1)),
            created_at: at(3),
            lines: payments.iter().map(|payment| payment.line.clone()).collect(),
        }
    }

    /// Every text by the path to it.
    fn texts(xml: &[u8]) -> Vec<(String, String)> {
        let mut reader = Reader::from_str(std::str::from_utf8(xml).unwrap());
        let (mut path, mut found, mut buffer) = (Vec::<String>::new(), Vec::new(), String::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => {
                    path.push(start.name().as_ref().to_owned());
                    buffer.clear();
                }
                Event::Text(text) => buffer.push_str(&text),
                Event::GeneralRef(entity) => buffer.push_str(match &*entity {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    other => panic!("{other}"),
                }),
                Event::End(_) => {
                    let name = path.iter().skip(1).cloned().collect::<Vec<_>>().join("/");
                    if !buffer.is_empty() {
                        found.push((name, std::mem::take(&mut buffer)));
                    }
                    path.pop();
                }
                Event::Eof => return found,
                _ => {}
            }
        }
    }

    #[test]
    fn a_file_says_who_pays_whom_how_much_and_the_sum_of_it() {
        let payments = [
            payment(1, 1_050, "Ada <Ltd>", Some("COBADEFF")),
            payment(2, 99, "Bo", None),
        ];
        let xml = pain001(&file(&payments, 1_149), &payments).unwrap();
        assert_eq!(xml, pain001(&file(&payments, 1_149), &payments).unwrap());
        let text = String::from_utf8(xml.clone()).unwrap();
        assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.001.001.09\">"));
        assert!(text.contains("<InstdAmt Ccy=\"USD\">10.50</InstdAmt>"), "{text}");
        let found = texts(&xml);
        let of = |name: &str| {
            let all = found.iter().filter(|(path, _)| path.ends_with(name));
            all.map(|(_, text)| text.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("NbOfTxs"), ["2", "2"]);
        assert_eq!(of("CtrlSum"), ["11.49", "11.49"]);
        assert_eq!(of("CreDtTm"), ["2026-01-04T00:00:00Z"]);
        assert_eq!(of("Dbtr/Nm"), ["Shop & Sons"]);
        assert_eq!(of("CdtTrfTxInf/Cdtr/Nm"), ["Ada <Ltd>", "Bo"]);
        assert_eq!(of("DbtrAcct/Id/IBAN"), ["GB82WEST12345698765432"]);
        assert_eq!(of("CdtrAcct/Id/IBAN"), ["DE89370400440532013000"; 2]);
        assert_eq!(of("CdtrAgt/FinInstnId/BICFI"), ["COBADEFF"]);
        assert_eq!(of("DbtrAgt/FinInstnId/Othr/Id"), ["NOTPROVIDED"]);
        assert_eq!(
            of("EndToEndId"),
            [
                "00000000000000000000000000000001-2",
                "00000000000000000000000000000002-2"
            ]
        );
        assert!(of("MsgId").iter().chain(&of("PmtInfId")).all(|id| id.len() <= 35));
        let order: Vec<_> = found
            .iter()
            .filter(|(path, _)| path.contains("PmtInf/") && !path.contains("CdtTrfTxInf"))
            .map(|(path, _)| path.split('/').nth(2).unwrap())
            .collect();
        assert_eq!(
            order,
            [
                "PmtInfId",
                "PmtMtd",
                "NbOfTxs",
                "CtrlSum",
                "ReqdExctnDt",
                "Dbtr",
                "DbtrAcct",
                "DbtrAgt",
                "ChrgBr"
            ],
            "the schema's order"
        );
    }

    #[test]
    fn a_file_whose_sum_is_wrong_is_not_written() {
        let payments = [payment(1, 1_050, "Ada", None)];
        for total in [1_049, 1_051] {
            let refused = pain001(&file(&payments, total), &payments);
            assert!(matches!(refused, Err(FileError::Total)), "{total}");
        }
        let mut short = file(&payments, 1_050);
        short.lines.clear();
        assert!(matches!(pain001(&short, &payments), Err(FileError::Total)));
    }
}
