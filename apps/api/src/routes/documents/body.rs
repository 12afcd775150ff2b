//! What is sent about documents, and how an announcement is answered.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use posx_assistant::documents::{Announcement, DocumentState, DraftKind, DraftState, MediaType, NewDocument};
use posx_kernel::{Cursor, DocumentId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDocument)]
pub struct NewDocumentBody {
    /// 1 to 200 characters, to be shown.
    name: String,
    media_type: MediaType,
    /// The file's exact length: 1 to 20971520.
    #[schema(minimum = 1, maximum = 20_971_520)]
    bytes: u32,
    /// What it is to become.
    kind: DraftKind,
}

impl NewDocumentBody {
    pub fn into_wish(self) -> NewDocument {
        NewDocument {
            name: self.name,
            media_type: self.media_type,
            bytes: self.bytes,
            kind: self.kind,
        }
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AcceptDraft)]
pub struct AcceptBody {
    /// The codes of the draft's warnings.
    #[serde(default)]
    pub acknowledged: Vec<String>,
    /// Where an order's tokens go, if the customer has bound no wallet of its chain; else it is refused. Never read from the document.
    pub wallet_address: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RejectDraft)]
pub struct RejectBody {
    /// 1 to 500 characters.
    pub reason: String,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// Only documents in this state.
    #[param(inline)]
    pub state: Option<DocumentState>,
    /// Only documents whose draft is in this state.
    #[param(inline)]
    pub draft: Option<DraftState>,
    /// 1 to 100, else 25.
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    pub after: Option<Cursor>,
}

/// Where and how the file is sent, with `PUT`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UploadView {
    /// Absolute, or from the API's root on: then it is `upload_document_content`, with the caller's token.
    url: String,
    /// Exactly these are sent.
    headers: BTreeMap<&'static str, String>,
    until: DateTime<Utc>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AnnouncedView {
    id: DocumentId,
    upload: UploadView,
}

impl AnnouncedView {
    pub fn of(announced: Announcement) -> Self {
        Self {
            id: announced.made.id,
            upload: UploadView {
                url: announced.target.url,
                headers: announced.target.headers.into_iter().collect(),
                until: announced.until,
            },
        }
    }
}
