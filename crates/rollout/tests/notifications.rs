//! What people are told, and who of them.

mod lab;

use lab::{Lab, Says, homelab};
use reeve_rollout::{
    About, Ask, Decision, Outcome, Question, StepResult,
    spec::Notification,
    step::{Action, MOUNTS, Message, Service, WebhookUrl, Work},
};
use serde_json::{Value, json};

fn receiver(more: &Value) -> Notification {
    let mut receiver = json!({"name": "chat", "telegram": {"tokenRef": {"name": "telegram", "key": "token"}, "chatId": "-100"}});
    json_patch::merge(&mut receiver, more);
    serde_json::from_value(receiver).expect("a notification")
}

fn telling(lab: &Lab, receiver: &Notification, about: About<'_>) -> Option<(Work, Message)> {
    let work = lab.plan.telling(&lab.run, receiver, about)?;
    let Action::Notify(message) = work.instruction.action.clone() else {
        panic!("a message: {work:#?}");
    };
    Some((work, message))
}

/// What is told of the end.
fn text(lab: &Lab, receiver: &Notification) -> String {
    match telling(lab, receiver, About::End).expect("it is told").1.by {
        Service::Telegram { text, .. } | Service::Slack { text, .. } => text,
        Service::Webhook { body, .. } => body["text"].as_str().expect("a text").to_owned(),
    }
}

fn question(lab: &Lab) -> &Ask {
    match &lab.stopped_at {
        Some(Decision::Ask(ask)) => ask,
        other => panic!("a question: {other:?}"),
    }
}

#[test]
fn every_outcome_has_its_sentence() {
    let play = |step: &str, times| {
        text(
            &Lab::of(&homelab(&json!({}))).fails(step, times).play(),
            &receiver(&json!({})),
        )
    };
    insta::assert_json_snapshot!([
        play("none", 0),
        play("preflight-vps", 1),
        play("deploy-thinkpad", 1),
        play("tests", 1),
        play("deploy-rtx1080", 1),
        play("deploy-vps", 3),
        play("verify-vps", 1),
    ]);
}

#[test]
fn only_outcomes_that_a_receiver_wants_are_told() {
    let failed = Lab::of(&homelab(&json!({}))).fails("tests", 1).play();
    for (outcomes, told) in [
        (json!([]), true),
        (json!(["Failed"]), true),
        (json!(["Success", "PartialSuccess"]), false),
    ] {
        let receiver = receiver(&json!({"outcomes": outcomes}));
        assert_eq!(
            telling(&failed, &receiver, About::End).is_some(),
            told,
            "{outcomes}"
        );
    }
    let running = Lab::of(&homelab(&json!({})));
    assert!(telling(&running, &receiver(&json!({})), About::End).is_none());
}

#[test]
fn a_text_of_ones_own_takes_the_place_of_the_sentence() {
    let words = "{{name}}|{{namespace}}|{{revision}}|{{commit}}|{{outcome}}|{{phase}}|{{systemsDeployed}}|{{duration}}|{{message}}";
    let lab = Lab::of(&homelab(&json!({}))).fails("tests", 1).play();
    assert_eq!(
        text(&lab, &receiver(&json!({"text": words}))),
        "homelab|homelab|main|4f2a9c1d00000000000000000000000000000000|Failed|Tests|nothing|2m40s|step tests failed: tests says so"
    );
}

#[test]
fn values_are_escaped_for_slack_and_the_text_around_them_is_not() {
    let slack = json!({"telegram": null, "slack": {"urlRef": {"name": "slack", "key": "url"}}, "text": "<https://x|{{message}}>"});
    let mut lab = Lab::of(&homelab(&json!({}))).fails("tests", 1).play();
    lab.run.ending.as_mut().expect("an ending").message = "1 < 2 & 3 > 2 {{name}}".to_owned();
    assert_eq!(
        text(&lab, &receiver(&slack)),
        "<https://x|1 &lt; 2 &amp; 3 &gt; 2 {{name}}>"
    );
}

#[test]
fn a_text_for_telegram_is_never_too_long() {
    let mut lab = Lab::of(&homelab(&json!({}))).fails("tests", 1).play();
    lab.run.ending.as_mut().expect("an ending").message = "ü".repeat(5_000);
    let text = text(&lab, &receiver(&json!({})));
    assert!(text.len() <= 4_096 && text.ends_with('…'));
}

#[test]
fn a_webhook_gets_the_result_that_scripts_read() {
    let webhook = json!({"telegram": null, "webhook": {"url": "https://hooks.example.org/x", "hmacKeyRef": {"name": "hook", "key": "hmac"}}});
    let lab = Lab::of(&homelab(&json!({}))).fails("deploy-vps", 3).play();
    let (work, message) = telling(&lab, &receiver(&webhook), About::End).expect("told");
    let Service::Webhook {
        url,
        hmac_key_file,
        body,
    } = message.by
    else {
        panic!("a webhook");
    };
    assert_eq!(url, WebhookUrl::Plain("https://hooks.example.org/x".to_owned()));
    assert_eq!(
        hmac_key_file.as_deref(),
        Some("/etc/reeve/mounts/secrets/hook/hmac")
    );
    assert_eq!(work.mounts.len(), 1);
    insta::assert_json_snapshot!(body);
}

#[test]
fn every_file_that_a_message_names_is_mounted_and_no_other() {
    let lab = Lab::of(&homelab(&json!({}))).play();
    let reference = |name: &str| json!({"name": name, "key": "k"});
    for (service, files) in [
        (json!({"caRef": {"name": "ca"}}), 2),
        (
            json!({"telegram": null, "slack": {"urlRef": reference("slack")}}),
            1,
        ),
        (
            json!({"telegram": null, "webhook": {"urlRef": reference("hook"), "hmacKeyRef": reference("hook")}}),
            1,
        ),
    ] {
        let (work, message) = telling(&lab, &receiver(&service), About::End).expect("told");
        assert_eq!(work.mounts.len(), files, "{service}");
        let text = serde_json::to_string(&message).expect("JSON");
        assert!(
            work.mounts.iter().all(|mount| text.contains(&mount.path)),
            "{text}"
        );
        assert_eq!(
            text.matches(MOUNTS).count(),
            files.max(usize::from(text.contains("hmacKeyFile")) + 1)
        );
    }
}

#[test]
fn each_question_of_a_run_is_asked_under_a_name_of_its_own() {
    let approvals = json!([{"before": "Tests"}, {"before": "Production"}]);
    let rollout = homelab(&json!({"approvals": approvals}));
    let mut lab = Lab::of(&rollout)
        .says("tests", &[Says::Result(StepResult::Inconclusive)])
        .play();
    let silent = receiver(&json!({"approvals": false}));
    assert!(telling(&lab, &silent, About::Question(question(&lab))).is_none());
    let mut asked = Vec::new();
    for _ in 0..3 {
        let ask = question(&lab).clone();
        let (work, message) = telling(&lab, &receiver(&json!({})), About::Question(&ask)).expect("asked");
        let Service::Telegram { text, .. } = message.by else {
            panic!("Telegram");
        };
        assert!(
            text.contains("kubectl reeve") && text.contains("until 2026-"),
            "{text}"
        );
        asked.push((work.instruction.step, work.instruction.attempt));
        let what = match &ask.about {
            Question::Approval(phase) => phase.name(),
            Question::Judgement { step } => step,
        };
        lab.observed.requests.approve = Some(format!("homelab-1/{what}").parse().expect("a request"));
        lab = lab.play();
    }
    assert_eq!(lab.ending().outcome, Outcome::Success);
    let names: std::collections::BTreeSet<_> = asked.iter().collect();
    assert_eq!((names.len(), asked[0].0.as_str()), (3, "ask-chat"), "{asked:?}");
}
