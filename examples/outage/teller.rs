//! How the story is told: a headline a stage, a tick for what was observed, the disk as a tree.

use std::time::{Duration, Instant};

use crate::support::site::Site;
use crate::support::tree;

/// Longest that one observation is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

pub struct Teller {
    begin: Instant,
    stage: u32,
    stage_begin: Instant,
}

impl Teller {
    pub fn new() -> Self {
        Self { begin: Instant::now(), stage: 0, stage_begin: Instant::now() }
    }

    pub fn stage(&mut self, headline: &str) {
        self.stage += 1;
        self.stage_begin = Instant::now();
        println!("\n{}. {headline}   [{:.1} s]", self.stage, self.begin.elapsed().as_secs_f64());
    }

    /// Waits until it is so, and says how long after the stage's beginning that was.
    pub async fn see(&self, site: &Site, what: &str, so: impl Fn(&Site) -> bool) -> Result<(), String> {
        site.wait(what, PATIENCE, so).await?;
        println!("   ✓ {what} ({})", shown(self.since_stage()));
        Ok(())
    }

    /// Since the stage's beginning.
    pub fn since_stage(&self) -> Duration {
        self.stage_begin.elapsed()
    }

    /// Looks on for some time; fails at the first look at which it is not so.
    pub async fn see_on(&self, site: &Site, what: &str, so: impl Fn(&Site) -> bool) -> Result<(), String> {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(1) {
            if !so(site) {
                return Err(format!("not so any more: {what}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        observed(what);
        Ok(())
    }
}

/// As people say it.
pub fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// A line of explanation.
pub fn say(line: &str) {
    println!("   {line}");
}

/// Something that is so.
pub fn observed(what: &str) {
    println!("   ✓ {what}");
}

/// Everything under `/etc/kubernetes`.
pub fn disk(site: &Site) {
    println!("   on disk, /etc/kubernetes:");
    for line in tree::lines(&site.config.node.etc_dir) {
        println!("     {line}");
    }
}

/// The two directories of manifests; the assets are as they were.
pub fn manifests(site: &Site) {
    println!("   on disk, /etc/kubernetes:");
    for (name, dir) in [("inactive-manifests", site.etc("inactive-manifests")), ("manifests", site.etc("manifests"))] {
        println!("     {:11}  {name}/", "");
        tree::lines(&dir).iter().for_each(|line| println!("     {line}"));
    }
}
