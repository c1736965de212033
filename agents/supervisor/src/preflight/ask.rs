//! What is asked of Waldur: whether it answers this user, and whether the user sees each offering. A few questions at a
//! time, so that an object of hundreds of offerings neither takes minutes nor floods anybody.

use std::sync::Arc;

use axum::http::HeaderValue;
use reeve_checks::Checks;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::vigil::{client::Client, finding::Finding, waldur};

/// Questions that are asked at the same time.
const AT_ONCE: usize = 8;

/// What a Waldur has answered: with what else can be asked of it, or what is wrong. `None`: nothing in time.
pub type Greeting = Option<Result<HeaderValue, Finding>>;

/// What has been found out about an offering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// This user sees it.
    Seen,
    /// It is not there, or this user may not see it.
    NotSeen,
    /// The answer tells neither.
    Untold(Finding),
    /// There was no answer in time.
    Late,
    /// Not asked, since the Waldur cannot be used.
    NotAsked,
}

/// Asks each Waldur whether it answers this user; the greetings are in the order of `checks.waldur`.
pub async fn waldurs(client: &Client, checks: &Checks, deadline: Instant) -> Vec<Greeting> {
    let questions = checks.waldur.iter().cloned().map(|waldur| {
        let client = client.clone();
        async move {
            let authorization = waldur::authorize(&client, &waldur).await?;
            let finding = waldur::greet_as(&client, &waldur, &authorization).await;
            if finding.is_good() {
                Ok(authorization)
            } else {
                Err(finding)
            }
        }
    });
    each(questions, deadline).await
}

/// Asks for each offering; the sights are in the order of `checks.offerings`.
pub async fn offerings(
    client: &Client,
    checks: &Checks,
    greetings: &[Greeting],
    deadline: Instant,
) -> Vec<Sight> {
    let questions = checks.offerings.iter().map(|offering| {
        let greeting = greetings.get(offering.waldur).cloned().flatten();
        let way = checks.waldur.get(offering.waldur).cloned().zip(greeting);
        let (client, uuid) = (client.clone(), offering.uuid.clone());
        async move {
            let Some((waldur, Ok(authorization))) = way else {
                return Sight::NotAsked;
            };
            match waldur::sees_offering(&client, &waldur, &authorization, &uuid).await {
                Ok(true) => Sight::Seen,
                Ok(false) => Sight::NotSeen,
                Err(finding) => Sight::Untold(finding),
            }
        }
    });
    let sights = each(questions, deadline).await;
    sights
        .into_iter()
        .map(|sight| sight.unwrap_or(Sight::Late))
        .collect()
}

/// Answers in the order of the questions; those that have not come at the deadline are `None`.
async fn each<Q>(questions: impl Iterator<Item = Q>, deadline: Instant) -> Vec<Option<Q::Output>>
where
    Q: Future<Output: Send> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut answers = Vec::new();
    let mut asked = JoinSet::new();
    for (number, question) in questions.enumerate() {
        answers.push(None);
        let permits = Arc::clone(&permits);
        asked.spawn(async move {
            // Never closed.
            let _permit = permits.acquire_owned().await;
            (number, question.await)
        });
    }
    while let Ok(Some(answer)) = timeout_at(deadline, asked.join_next()).await {
        // One that panicked has not answered.
        if let Ok((number, answer)) = answer {
            answers[number] = Some(answer);
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_keep_their_order_and_who_never_answers_keeps_nobody_else_from_it() {
        let questions = (0..20).map(|number| async move {
            if number == 3 {
                pending::<()>().await;
            }
            number
        });
        let answers = each(questions, Instant::now() + Duration::from_secs(1)).await;
        let expected: Vec<_> = (0..20).map(|number| (number != 3).then_some(number)).collect();
        assert_eq!(answers, expected);
    }
}
