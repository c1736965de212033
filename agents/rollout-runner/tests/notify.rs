//! Messages to people, by strict stand-ins for the services: delivered, tried again, given up, and never with a secret.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use fake_chat::{Busy, CHAT, FakeChat, HMAC_KEY, SLACK_PATH, TOKEN, World};
use reeve_rollout::{
    StepResult,
    step::{Action, Instruction, Message},
};
use reeve_rollout_runner::{
    answer::{Outcome, Problem, report},
    notify::{Patience, tell},
    redact::Redactor,
};
use serde_json::{Value, json};

/// The services, and a folder with mounted secrets.
struct Lab {
    chat: FakeChat,
    folder: PathBuf,
    limit: Duration,
}

impl Lab {
    fn new(test: &str, chat: FakeChat) -> Self {
        let folder = std::env::temp_dir().join(format!("reeve-notify-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let lab = Self {
            chat,
            folder,
            limit: Duration::from_mins(1),
        };
        lab.mount("token", &format!("{TOKEN}\n"));
        lab.mount("hmac", &format!("{HMAC_KEY}\n"));
        lab.mount("slack", &lab.chat.slack_url());
        lab.mount("hook", &lab.chat.hook_url());
        lab
    }

    async fn with(test: &str, change: impl FnOnce(&mut World)) -> Self {
        let mut world = World::default();
        change(&mut world);
        Self::new(test, FakeChat::start(world).await)
    }

    fn mount(&self, name: &str, content: &str) {
        fs::write(self.folder.join(name), content).expect("written");
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn telegram(&self, text: &str) -> Value {
        json!({"telegram": {"apiUrl": self.chat.url(), "tokenFile": self.file("token"), "chatId": CHAT, "text": text}})
    }

    fn slack(&self) -> Value {
        json!({"slack": {"urlFile": self.file("slack"), "text": "deployed"}})
    }

    fn hook(&self) -> Value {
        json!({"webhook": {"url": {"file": self.file("hook")}, "hmacKeyFile": self.file("hmac"), "body": {"status": "success"}}})
    }

    /// Tells; a problem comes as the report has it.
    async fn tell(&self, by: Value) -> Outcome {
        self.tell_trusting(by, None).await
    }

    async fn tell_trusting(&self, by: Value, ca_file: Option<String>) -> Outcome {
        let message = json!({"to": "chat", "by": by, "caFile": ca_file});
        let message: Message = serde_json::from_value(message).expect("a message");
        let instruction = json!({"protocol": 1, "namespace": "lab", "rollout": "homelab", "run": "homelab-1",
            "step": "notify-chat", "attempt": 1, "timeLimit": 60, "action": {"notify": message}});
        let instruction: Instruction = serde_json::from_value(instruction).expect("an instruction");
        let Action::Notify(message) = &instruction.action else {
            panic!("a message");
        };
        let redactor = Redactor::default();
        let patience = Patience {
            first: Duration::from_millis(1),
            deadline: Instant::now() + self.limit,
        };
        let outcome = tell(message, &instruction, patience, &redactor).await;
        outcome.map_err(|problem| {
            let shown = report(&instruction, "pod", Err(problem.clone()), &redactor);
            assert!(!shown.touched);
            for secret in [
                TOKEN,
                HMAC_KEY,
                SLACK_PATH,
                "nVx0c8uYt1Rk3sZpQe5wLb7m",
                "AAF1h-uQ0s",
            ] {
                assert!(!shown.message.contains(secret), "{}", shown.message);
            }
            Problem {
                message: shown.message,
                ..problem
            }
        })
    }

    async fn refused(&self, by: Value) -> (StepResult, &'static str, String) {
        let problem = self.tell(by).await.expect_err("not delivered");
        (problem.result, problem.reason, problem.message)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn each_service_gets_its_message_once() {
    let lab = Lab::with("once", |_| {}).await;
    lab.tell(lab.telegram("main is deployed <&>"))
        .await
        .expect("told");
    lab.tell(lab.slack()).await.expect("told");
    lab.tell(lab.hook()).await.expect("told");
    let world = lab.chat.world();
    assert_eq!(
        world.telegram,
        [(CHAT.to_owned(), "main is deployed <&>".to_owned())]
    );
    assert_eq!(world.slack, ["deployed"]);
    assert_eq!(world.hooks.len(), 1);
    assert_eq!(
        (&world.hooks[0].body, world.hooks[0].delivery.as_str()),
        (&json!({"status": "success"}), "lab/homelab-1/notify-chat/1")
    );
}

#[tokio::test]
async fn who_is_busy_is_asked_again_and_not_before_the_time_that_it_says() {
    for (name, busy) in [
        ("later", Busy::Later(1)),
        ("failing", Busy::Status(502)),
        ("silent", Busy::Silent),
    ] {
        let lab = Lab::with(name, |_| {}).await;
        for by in [lab.telegram("x"), lab.slack(), lab.hook()] {
            lab.chat.world().busy = vec![busy];
            let told = lab.tell(by.clone()).await;
            assert!(
                told.as_ref().is_ok_and(|told| told.message.contains("attempt 2")),
                "{by}: {told:?}"
            );
        }
        let world = lab.chat.world();
        assert_eq!((world.requests, world.too_early), (6, 0), "{name}");
        assert_eq!(
            (world.telegram.len(), world.slack.len(), world.hooks.len()),
            (1, 1, 1)
        );
    }
}

#[tokio::test]
async fn what_would_be_refused_again_is_not_sent_again() {
    let lab = Lab::with("refused", |world| {
        world.migrated = Some(("-55".to_owned(), -100_987));
    })
    .await;
    let to = |chat: &str| {
        let mut by = lab.telegram("x");
        by["telegram"]["chatId"] = json!(chat);
        by
    };
    let said = |(result, reason, message): (StepResult, &'static str, String)| {
        assert_eq!(result, StepResult::Failed, "{message}");
        (reason, message)
    };
    let (reason, message) = said(lab.refused(to("-1")).await);
    assert_eq!(reason, "ChatRefused");
    assert!(
        message.contains("chat not found") && message.contains("chatId"),
        "{message}"
    );
    assert!(said(lab.refused(to("-55")).await).1.contains("-100987"));
    let (reason, message) = said(lab.refused(lab.telegram(&"x".repeat(4_097))).await);
    assert_eq!(reason, "ChatRefused");
    assert!(message.contains("too long"), "{message}");
    lab.mount("token", "7310588421:AAF1h-uQ0s-of-another-bot");
    assert_eq!(said(lab.refused(lab.telegram("x")).await).0, "TokenRefused");
    lab.mount("slack", &format!("{}/services/T0/B0/old", lab.chat.url()));
    let (reason, message) = said(lab.refused(lab.slack()).await);
    assert_eq!(reason, "Refused");
    assert!(message.contains("404: no_service"), "{message}");
    lab.mount("hmac", "another key");
    assert!(said(lab.refused(lab.hook()).await).1.contains("401"));
    lab.chat.world().busy = vec![Busy::Status(308)];
    assert_eq!(said(lab.refused(lab.hook()).await).0, "Redirected");
    assert_eq!(lab.chat.world().requests, 7, "each was sent once");
}

#[tokio::test]
async fn a_service_that_stays_away_is_given_up_in_time() {
    let mut lab = Lab::with("away", |world| world.busy = vec![Busy::Later(3_600)]).await;
    let (result, reason, message) = lab.refused(lab.telegram("x")).await;
    assert_eq!((result, reason), (StepResult::Errored, "NotDelivered"));
    assert!(
        message.contains("429") && message.contains("attempt 1"),
        "{message}"
    );
    lab.limit = Duration::from_millis(100);
    lab.chat.world().busy = vec![Busy::Status(500); 100];
    assert_eq!(lab.refused(lab.slack()).await.1, "NotDelivered");
    // Nobody listens there.
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    lab.mount("slack", &format!("http://{gone}{SLACK_PATH}"));
    let (result, reason, message) = lab.refused(lab.slack()).await;
    assert_eq!((result, reason), (StepResult::Errored, "NotDelivered"));
    assert!(message.contains("no connection"), "{message}");
}

#[tokio::test]
async fn certificates_are_verified() {
    let lab = Lab::new("tls", FakeChat::start_with_tls(World::default()).await);
    lab.mount("ca.pem", lab.chat.certificate().expect("TLS"));
    let (result, reason, message) = lab.refused(lab.telegram("x")).await;
    assert_eq!((result, reason), (StepResult::Failed, "CertificateRefused"));
    assert!(message.contains("caRef"), "{message}");
    assert_eq!(lab.chat.world().requests, 0);
    lab.tell_trusting(lab.telegram("x"), Some(lab.file("ca.pem")))
        .await
        .expect("trusted");
    assert_eq!(lab.chat.world().telegram.len(), 1);
}

#[tokio::test]
async fn secrets_that_are_none_are_told_without_them() {
    let lab = Lab::with("none", |_| {}).await;
    lab.mount("token", "AAF1h-uQ0s only half of it");
    assert_eq!(lab.refused(lab.telegram("x")).await.1, "BadToken");
    lab.mount("slack", "nVx0c8uYt1Rk3sZpQe5wLb7m");
    assert_eq!(lab.refused(lab.slack()).await.1, "BadUrl");
    fs::remove_file(lab.folder.join("hook")).expect("removed");
    let (result, reason, _) = lab.refused(lab.hook()).await;
    assert_eq!((result, reason), (StepResult::Errored, "MissingSecret"));
    assert_eq!(lab.chat.world().requests, 0);
}
