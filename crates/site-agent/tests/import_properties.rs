//! A property of any configuration that upstream starts with: imported, applied and rendered, it makes each mode do
//! what it did; and no secret is anywhere but in Secrets.

use proptest::prelude::*;
use reeve_site_agent::{AgentVersion, ImportOptions, import, upstream::Configuration};
use serde_json::Value;

use generated::configuration;

mod generated;
mod meaning;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_imported_and_rendered_means_what_the_original_means(configuration in configuration(), block in any::<bool>()) {
        let text = if block {
            serde_saphyr::to_string_with_options(&configuration, serde_saphyr::ser_options! { quote_all: true }).expect("YAML")
        } else {
            serde_json::to_string_pretty(&configuration).expect("JSON")
        };
        let options = ImportOptions { file: "f", name: "site", version: AgentVersion::STABLE, units: &[] };
        let imported = import(&text, &options).map_err(|refusals| TestCaseError::fail(format!("{refusals:#?}\n{text}")))?;
        let original: Configuration = serde_json::from_value(unquoted(configuration)).expect("a configuration");
        meaning::assert_same(&original, &imported);
        for remark in &imported.remarks {
            prop_assert!(!remark.message.contains("s3cret"), "{}", remark.message);
        }
        prop_assert!(!imported.spec().to_string().contains("s3cret"), "{}", imported.spec());
    }
}

/// Numbers of components as numbers: upstream reads them from texts, too.
fn unquoted(mut configuration: Value) -> Value {
    for offering in configuration["offerings"].as_array_mut().into_iter().flatten() {
        for (_, component) in offering["backend_components"]
            .as_object_mut()
            .into_iter()
            .flatten()
        {
            if let Some(number) = component["min_value"]
                .as_str()
                .and_then(|text| text.parse::<i64>().ok())
            {
                component["min_value"] = number.into();
            }
        }
    }
    configuration
}
