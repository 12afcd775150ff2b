//! A document is read: its text by rule, its fields by a model, and all of it becomes a draft.

use posx_kernel::{DocumentId, DraftId, Kind, ModelCallId, Refusal, SiteScope, StoreError};
use posx_tenancy::Site;
use serde_json::json;

use super::upload::place;
use super::{
    DOCUMENT_BYTES_MAX, Document, DocumentError, DocumentState, Documents, DocumentsTx, Draft, DraftContent,
    MediaType, PdfError, Unusable, answer, business_hash, check, check_in_tx, extract, happened, sha256,
};
use crate::{Ask, Asker, AssistantError, FinishReason, ImageInput, Message, Part, Purpose};

/// An order of 200 lines, each with four quoted values, at the most that a budget has to hold for it.
const OUTPUT_TOKENS_MAX: u32 = 16_384;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOutcome {
    Draft(DraftId),
    Unreadable(Unusable),
    /// Somebody else was first, or it is not there to be read.
    NothingToDo,
}

/// Why it is not read yet: it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Assistant(#[from] AssistantError),
    #[error("the reader of PDFs did not run")]
    Reader(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Document(error.into())
    }
}

impl Refusal for ReadError {
    fn code(&self) -> &'static str {
        match self {
            Self::Document(error) => error.code(),
            Self::Assistant(error) => error.code(),
            Self::Reader(_) => "pdf_reader_failed",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Document(error) => error.kind(),
            Self::Assistant(error) => error.kind(),
            Self::Reader(_) => Kind::Internal,
        }
    }
}

/// What a model made of it, by which call.
type Read = (ModelCallId, Option<Vec<String>>, DraftContent);

impl Documents {
    /// Safe to run any number of times: there is one draft of a document.
    pub async fn read(
        &self,
        scope: &SiteScope,
        site: &Site,
        id: DocumentId,
    ) -> Result<ReadOutcome, ReadError> {
        let Some(document) = self.queries.document(scope, id).await? else {
            return Ok(ReadOutcome::NothingToDo);
        };
        if document.state != DocumentState::Uploaded || document.forgotten_at.is_some() {
            return Ok(ReadOutcome::NothingToDo);
        }
        let read = self.read_file(scope, &document).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let document = tx.documents().for_update(id).await?;
        let still = |document: &Document| {
            document.state == DocumentState::Uploaded && document.forgotten_at.is_none()
        };
        let Some(mut document) = document.filter(still) else {
            return Ok(ReadOutcome::NothingToDo);
        };
        let (call, pages, content) = match read {
            Ok(read) => read,
            Err(reason) => {
                document.unreadable(reason, now);
                tx.documents().save(&document).await?;
                let payload = json!({ "reason": reason });
                let event = happened("document.unreadable", &document, payload, now);
                tx.outbox().append(event).await?;
                tx.commit().await?;
                return Ok(ReadOutcome::Unreadable(reason));
            }
        };
        document.read(pages, now);
        let content = matched_in_tx(tx.as_mut(), content).await?;
        let findings = check_in_tx(tx.as_mut(), site, &document, &content).await?;
        let business = business_hash(&content);
        let id = DraftId::from_uuid(self.id(now));
        let draft = Draft::proposed(id, &document, (call, content), findings, now);
        tx.documents().save(&document).await?;
        tx.documents().insert_draft(&draft, business).await?;
        let codes: Vec<_> = draft.findings.iter().map(|finding| finding.code).collect();
        let payload = json!({ "draft": draft.id, "call": call, "findings": codes });
        tx.outbox()
            .append(happened("document.read", &document, payload, now))
            .await?;
        tx.commit().await?;
        Ok(ReadOutcome::Draft(draft.id))
    }

    async fn read_file(
        &self,
        scope: &SiteScope,
        document: &Document,
    ) -> Result<Result<Read, Unusable>, ReadError> {
        let _held = self
            .in_memory
            .acquire()
            .await
            .map_err(|_| StoreError::broken("the semaphore is closed"))?;
        let bytes = self
            .storage
            .read(place(scope, document), DOCUMENT_BYTES_MAX)
            .await;
        let Some(bytes) = bytes.map_err(DocumentError::from)? else {
            return Ok(Err(Unusable::FileGone));
        };
        // Whoever may upload may do so again until the time is over.
        if document.sha256 != Some(sha256(&bytes)) {
            return Ok(Err(Unusable::FileChanged));
        }
        let image = image_of(document.media_type, &bytes);
        let pages = match extract::pages(document.media_type, bytes, self.pdf.as_ref()).await {
            Ok(pages) => pages,
            Err(PdfError::Unusable(reason)) => return Ok(Err(reason)),
            Err(PdfError::Failed(source)) => return Err(ReadError::Reader(source)),
        };
        self.ask(scope, document, pages, image).await
    }

    /// There is no tool in it: a model that does what a document says can do nothing but answer.
    async fn ask(
        &self,
        scope: &SiteScope,
        document: &Document,
        pages: Option<Vec<String>>,
        image: Option<ImageInput>,
    ) -> Result<Result<Read, Unusable>, ReadError> {
        let text = pages.as_deref().map(answer::prompt).map(Part::Text);
        let parts = text.into_iter().chain(image.map(Part::Image)).collect();
        let ask = Ask {
            purpose: Purpose::Documents,
            asker: Asker::Member(document.uploaded_by),
            system: answer::system(document.kind),
            messages: vec![Message::User(parts)],
            tools: Vec::new(),
            answer_schema: Some(answer::schema(document.kind)),
            max_output_tokens: OUTPUT_TOKENS_MAX,
        };
        let answered = match self.gateway.complete(scope, ask).await {
            Ok(answered) => answered,
            Err(AssistantError::ModuleOff | AssistantError::NoConsent(_)) => {
                return Ok(Err(Unusable::NotAllowed));
            }
            Err(AssistantError::PromptTooLong { .. }) => return Ok(Err(Unusable::TextTooLong)),
            Err(AssistantError::Refused(_)) => return Ok(Err(Unusable::ModelRefused)),
            Err(later) => return Err(later.into()),
        };
        let reason = match answered.finish {
            FinishReason::Stop => Unusable::AnswerInvalid,
            FinishReason::Length => return Ok(Err(Unusable::AnswerTooLong)),
            FinishReason::Filtered => return Ok(Err(Unusable::ModelRefused)),
            // It was given none.
            FinishReason::ToolCalls => return Ok(Err(Unusable::AnswerInvalid)),
        };
        let content = answer::take(document.kind, &answered.text, pages.as_deref());
        Ok(content
            .map(|content| (answered.call, pages, content))
            .ok_or(reason))
    }
}

fn image_of(media_type: MediaType, bytes: &[u8]) -> Option<ImageInput> {
    media_type.is_image().then(|| ImageInput {
        media_type: media_type.as_str(),
        bytes: bytes.to_vec(),
    })
}

/// Customer and offers by their names, where one only is called so.
async fn matched_in_tx(tx: &mut dyn DocumentsTx, content: DraftContent) -> Result<DraftContent, StoreError> {
    let DraftContent::Order(mut order) = content else {
        return Ok(content);
    };
    if let Some(name) = &order.customer_name {
        let tax_number = order.customer_tax_number.as_ref();
        let tax_number = tax_number.map(|field| check::tax_number_text(&field.value));
        let name = check::plain(&name.value);
        order.buyer = tx.documents().customer(tax_number.as_deref(), &name).await?;
    }
    let said = |line: &super::OrderDraftLine| {
        let description = line.description.as_ref();
        description
            .map(|field| check::plain(&field.value))
            .unwrap_or_default()
    };
    let names: Vec<String> = order.lines.iter().map(said).collect();
    let tiers = tx.documents().tiers_called(&names).await?;
    for (line, tier) in order.lines.iter_mut().zip(tiers) {
        line.tier = tier;
    }
    Ok(DraftContent::Order(order))
}
