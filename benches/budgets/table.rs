//! How it is shown: one line a figure, each beside what it is measured against.

use std::time::{Duration, Instant};

/// Everything measured so far.
#[derive(Default)]
pub struct Table(Vec<[String; 5]>);

impl Table {
    /// A duration beside another one.
    pub fn beside(&mut self, what: &str, took: Duration, against: &str, bare: Duration, budget: &str) {
        let ratio = took.as_secs_f64() / bare.as_secs_f64().max(1e-9);
        self.add(what, &shown(took), &format!("{} {against}", shown(bare)), &format!("{ratio:.1}"), budget);
    }

    /// Anything.
    pub fn add(&mut self, what: &str, figure: &str, against: &str, ratio: &str, budget: &str) {
        println!("{what}: {figure}");
        self.0.push([what, figure, against, ratio, budget].map(str::to_owned));
    }

    /// All of it at once.
    pub fn print(&self) {
        let head = ["what", "figure", "beside", "ratio", "budget"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(&head).chain(&self.0).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        println!();
        for row in rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            println!("{}", cells.join("  ").trim_end());
        }
    }
}

/// With three digits that mean something.
pub fn shown(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        m if m < 1e3 => format!("{m:.1} µs"),
        m if m < 1e6 => format!("{:.2} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

/// Of an uneven number of them the middle one.
pub fn median(times: &mut [Duration]) -> Duration {
    percentile(times, 50)
}

/// The least of which so many of a hundred are not longer.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(rank).copied().unwrap_or_default()
}

/// How long it takes once, by the median of many runs within about this time.
pub fn typical<T>(within: Duration, mut run: impl FnMut() -> T) -> Duration {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < 5 || (begin.elapsed() < within && times.len() < 10_000) {
        let start = Instant::now();
        std::hint::black_box(run());
        times.push(start.elapsed());
    }
    median(&mut times)
}
