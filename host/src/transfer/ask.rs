//! One request for a file, and what is done with the answer.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::accept::{Asked, BodyLength, Decision, Keep, Next, WholeBody};
use super::body::Body;
use super::context::{Halted, blocking};
use super::digest::Hasher;
use super::error::FileError;
use super::fetch::{Answer, Request, fetch};
use super::file_task::{FileTask, Interruption, Outcome, closed_early, halted};
use super::part_file::{self, PartFile};
use super::pump::Inflow;
use super::redirect::{Downgrade, Led};
use super::small_file::SMALL_FILE_BYTES_MAX;
use crate::job::{FileVersion, Sha256};
use crate::scheduler::{Redirection, Report};

impl FileTask {
    /// Asks the origin, and does what the answer allows.
    pub(super) async fn ask(&mut self, asked: Asked<'_>, if_range: Option<&str>) -> Result<Outcome, Interruption> {
        let run = Arc::clone(&self.run);
        let request = Request {
            remote_name: &self.file.remote_name,
            headers: &self.headers,
            asked,
            if_range,
            bytes_max: run.context.settings.file_bytes_max,
            redirects: run.terms.redirects,
            downgrade: if run.terms.redirects_to_http { Downgrade::Allowed } else { Downgrade::Refused },
        };
        let answered = tokio::select! {
            answered = fetch(run.client(), &request) => answered,
            () = halted(&mut self.directive) => return Err(Interruption::Halted),
        };
        let answer = match answered {
            Ok(answer) => answer,
            Err((error, circumstances)) => {
                self.circumstances = circumstances;
                self.responded().await?;
                if let Some(led) = self.circumstances.led.take() {
                    self.report_led(&led).await?;
                }
                return Err(error.into());
            }
        };
        let Answer { decision, head, response, circumstances } = answer;
        self.circumstances = circumstances;
        run.connected().await?;
        self.responded().await?;
        if !matches!(decision, Decision::Restart { next: Next::AskAgain, .. })
            && let Some(led) = self.circumstances.led.take()
        {
            self.report_led(&led).await?;
            self.file.remote_name = led.remote_name;
            if led.headers_withheld {
                self.file.headers_withheld = true;
                self.headers = Arc::default();
            }
        }
        let body = Body::new(response, &run.context.settings);
        match decision {
            Decision::Whole(whole) => self.take_whole(whole, head.repr_digest, body).await,
            Decision::Append { discard, length, version } => {
                self.mixed_origins |= matches!(asked, Asked::Rest { keep: Keep::RepointedDigest, .. });
                self.accepted(version, run.context.settings.file_bytes_max)?;
                self.prepare_part().await?;
                // Of a file of ranges, the origin's digest is another one: it is of the whole.
                self.prepare_hasher(head.repr_digest.filter(|_| self.file.ranges.is_empty())).await?;
                let inflow = Inflow { discard, length: BodyLength::Exactly(length) };
                Ok(Outcome::Pumped(self.pump(body, inflow).await))
            }
            Decision::Done { version } => {
                self.file.version = Some(version);
                Ok(Outcome::Again)
            }
            Decision::Restart { reason, next } => {
                self.restart(reason).await?;
                match next {
                    Next::TakeThisBody(whole) => self.take_whole(whole, head.repr_digest, body).await,
                    Next::AskAgain => Ok(Outcome::Again),
                }
            }
            Decision::Redirect { .. } | Decision::Fail(_) => {
                unreachable!("fetch follows the one and returns the other")
            }
        }
    }

    /// Reports the head of the answer, for the client.
    async fn responded(&mut self) -> Result<(), Halted> {
        match self.circumstances.response.take() {
            Some(response) => self.run.report(Report::Responded { file: self.file.index, response }).await,
            None => Ok(()),
        }
    }

    /// Reports that the remote name is to be where redirects led. It goes before the first word about bytes from there: else the file would
    /// count as pointed elsewhere.
    async fn report_led(&self, led: &Led) -> Result<(), Halted> {
        let Led { remote_name, headers_withheld } = led.clone();
        let (file, from) = (self.file.index, self.file.remote_name.clone());
        let redirection = Redirection { file, from, to: remote_name, headers_withheld };
        self.run.report(Report::Redirected(Box::new(redirection))).await
    }

    /// Takes a body that is the whole file. Nothing is durable.
    async fn take_whole(
        &mut self,
        whole: WholeBody,
        repr_digest: Option<Sha256>,
        body: Body,
    ) -> Result<Outcome, Interruption> {
        let WholeBody { length, version } = whole;
        self.accepted(version, self.run.context.settings.file_bytes_max)?;
        self.server_digest = repr_digest.filter(|_| self.file.digest.is_none());
        if let BodyLength::Exactly(bytes) = length
            && bytes <= SMALL_FILE_BYTES_MAX
        {
            return self.take_small(body, bytes).await;
        }
        self.prepare_part().await?;
        self.hasher = self.wanted_digest().map(|_| Hasher::new());
        Ok(Outcome::Pumped(self.pump(body, Inflow { discard: 0, length }).await))
    }

    /// Notes of which version the bytes are that come now. Refused, if it has more than it may have.
    fn accepted(&mut self, version: FileVersion, bytes_max: u64) -> Result<(), FileError> {
        self.file.version = Some(version);
        self.file.repointed = false;
        let total = self.file.bytes_total();
        self.active.set_total(total);
        match total {
            Some(bytes) if bytes > bytes_max => Err(FileError::TooLarge { bytes, bytes_max }),
            Some(bytes) => self.recharge(bytes),
            None => Ok(()),
        }
    }

    /// Creates the part file, unless it is open already.
    async fn prepare_part(&mut self) -> Result<(), FileError> {
        if self.part.is_some() {
            return Ok(());
        }
        let (directory, name, total) =
            (Arc::clone(&self.directory), self.run.part_name(&self.file), self.file.bytes_total());
        let created = blocking(move || {
            let part = PartFile::create(&directory, &name)?;
            if let Some(bytes) = total
                && let Err(error) = part.reserve(bytes)
            {
                part_file::remove(&directory, &name)?;
                return Err(error);
            }
            Ok(part)
        });
        let part = created.await?;
        self.file.part = Some(part.identity());
        self.active.set_has_part();
        self.part = Some(Arc::new(part));
        self.ledger.name_is_durable = false;
        Ok(())
    }

    /// Reads a small body into memory, and verifies it.
    async fn take_small(&mut self, mut body: Body, length: u64) -> Result<Outcome, Interruption> {
        // In one piece: a body that drips would be a list of single bytes, each with a header of its own.
        let mut gathered = Vec::with_capacity(usize::try_from(length).expect("at most SMALL_FILE_BYTES_MAX"));
        loop {
            let chunk = tokio::select! {
                chunk = body.next() => chunk?,
                () = halted(&mut self.directive) => return Err(Interruption::Halted),
            };
            let Some(bytes) = chunk else { break };
            self.run.progress.received(bytes.len());
            // Chunks may say more than the length or the range that came with them.
            if (gathered.len() + bytes.len()) as u64 > length {
                let what = format!("its body has more than the {length} bytes that it announced");
                return Err(FileError::InvalidAnswer { what }.into());
            }
            gathered.extend_from_slice(&bytes);
            self.active.set_done(gathered.len() as u64);
            if let Some(paid_at) = self.run.rate_limit.charge(bytes.len(), Instant::now()) {
                tokio::select! {
                    () = sleep_until(paid_at) => {}
                    () = halted(&mut self.directive) => return Err(Interruption::Halted),
                }
            }
        }
        if gathered.len() as u64 != length {
            return Err(closed_early(gathered.len() as u64, length).into());
        }
        if self.wanted_digest().is_some() {
            // At most 64 KiB: some tens of microseconds, less than the way to another thread and back.
            let mut hasher = Hasher::new();
            hasher.update(&gathered);
            if !self.verify(hasher.finish()).await? {
                return Ok(Outcome::Again);
            }
        }
        Ok(Outcome::Small(gathered.into()))
    }

    /// What the bytes must hash to: by the client's word, else by the origin's.
    pub(super) fn wanted_digest(&self) -> Option<Sha256> {
        self.file.digest.or(self.server_digest)
    }

    /// Brings a hasher to the durable offset, if a digest is wanted: from the stored state, or, where somebody has written to the part
    /// file since, by reading it again.
    pub(super) async fn prepare_hasher(&mut self, repr_digest: Option<Sha256>) -> Result<(), Interruption> {
        // The origin's digest is worth no reading of bytes that were never hashed.
        let goes_on = self.hasher.is_some() || self.file.hash_state.is_some();
        self.server_digest = repr_digest.or(self.server_digest).filter(|_| self.file.digest.is_none() && goes_on);
        if self.wanted_digest().is_none() {
            self.hasher = None;
            return Ok(());
        }
        if self.hasher.is_none() {
            let stored = self.file.hash_state.as_deref().zip(self.modified);
            self.hasher = stored.and_then(|(state, modified)| Hasher::restore(state, modified));
        }
        if let (None, Some(part)) = (&self.hasher, &self.part) {
            let (part, durable) = (Arc::clone(part), self.ledger.written);
            let read =
                blocking(move || Hasher::of_prefix(part.file(), durable).map_err(|error| part.error("read", &error)));
            self.hasher = Some(read.await?);
        }
        Ok(())
    }
}
