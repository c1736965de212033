//! What the YAML parser finds wrong, in words for people who write YAML and not for those who call the parser.

use std::borrow::Cow;

use serde_saphyr::{Error, budget::BudgetBreach};

/// What is wrong, in one sentence without the place.
pub(super) fn sentence(error: &Error) -> Cow<'static, str> {
    const TAGGED: &str = "!!binary is not read here; write the text itself, without a tag";
    const ALIASES: &str = "aliases (*name) repeat too much; write out what they stand for";
    const NEITHER: &str = "not YAML that Kubernetes reads; look at this line and the one before";
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => sentence(error),
        Error::Message { msg, .. } | Error::ExternalMessage { msg, .. } => of_parser(msg).into(),
        Error::Eof { .. } => "ends in the middle: a bracket, a brace or a quote may be open".into(),
        Error::MultipleDocuments { .. } => {
            "a further document begins here; put a line with --- between the two".into()
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("duplicate key: {key} is there already; keep one").into()
        }
        Error::DuplicateMappingKey { key: None, .. } => "duplicate key: it is there already; keep one".into(),
        Error::InvalidBinaryBase64 { .. }
        | Error::BinaryNotUtf8 { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. } => TAGGED.into(),
        Error::UnsupportedTag { .. } => "a tag (!name) that Kubernetes does not know; remove it".into(),
        Error::UnknownAnchor { .. } => {
            "an alias (*name) without an anchor (&name) before it; write the value".into()
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias (*name) within its own anchor (&name) would never end; write the value".into()
        }
        Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => ALIASES.into(),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "<<: needs a map; write an alias (*name) of one".into(),
        Error::FoldedBlockScalarMustIndentContent { .. } => {
            "the text below > has to be indented further than its key".into()
        }
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => format!(
                "nested deeper than {} levels; flatten it",
                super::documents::DEEPEST
            )
            .into(),
            BudgetBreach::Aliases { .. }
            | BudgetBreach::Anchors { .. }
            | BudgetBreach::AliasAnchorRatio { .. }
            | BudgetBreach::RecordedAnchorEvents { .. }
            | BudgetBreach::RecordedAnchorBytes { .. } => ALIASES.into(),
            BudgetBreach::SequenceUnbalanced => NEITHER.into(),
            _ => "too large a document; split it".into(),
        },
        _ => NEITHER.into(),
    }
}

/// The parser's own sentence on syntax, without the place, which counts from the document and not from the file.
fn of_parser(message: &str) -> String {
    let mut message = message.replace("scalar", "text");
    if let Some(at) = message.rfind(" at line ") {
        let place = message[at..]
            .trim_start_matches(" at line ")
            .replace(", column ", "");
        if place.bytes().all(|b| b.is_ascii_digit()) {
            message.truncate(at);
        }
    }
    message
}
