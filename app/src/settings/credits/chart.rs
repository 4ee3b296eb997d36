//! Usage by day: an SVG drawn on the server with attributes only, and the table of its data.

use domain::credits::Day;
use domain::grouped;
use leptos::prelude::*;

use crate::ui::view;

/// Of the drawing's own units.
const HEIGHT: i64 = 48;
const STEP: usize = 10;
const WIDTH: usize = 8;

pub fn chart(days: &[Day]) -> AnyView {
    let total: i64 = days.iter().map(|day| day.credits).sum();
    let most = days.iter().map(|day| day.credits).max().unwrap_or(0).max(1);
    let used = format!("{} credits", grouped(total));
    let summary = format!(
        "Last {} days: {used} used, {} on the busiest day",
        days.len(),
        grouped(most.min(total))
    );
    let mut bars = String::new();
    for (index, day) in days.iter().enumerate() {
        // Something is to be seen of every day that is not empty.
        let high = if day.credits == 0 {
            0
        } else {
            (day.credits * HEIGHT / most).max(2)
        };
        let (x, y) = (index * STEP + 1, HEIGHT + 4 - high);
        bars +=
            &format!(r#"<rect class="bar-good" x="{x}" y="{y}" width="{WIDTH}" height="{high}"/>"#);
    }
    let view_box = format!("0 0 {} {}", days.len() * STEP, HEIGHT + 4);
    let rows = days
        .iter()
        .rev()
        .filter(|day| day.credits > 0)
        .map(|day| {
            view! { <tr><th scope="row">{day.at.date()}</th><td class="tabular">{grouped(day.credits)}</td></tr> }
        })
        .collect_view();
    view! {
        <figure class="chart">
            <figcaption>
                <span class="chart-title">{format!("Last {} days", days.len())}</span>
                <span class="tabular">{used}</span>
            </figcaption>
            <svg class="chart-drawing" viewBox=view_box preserveAspectRatio="none" role="img" aria-label=summary inner_html=bars></svg>
            {(total > 0).then(|| view! {
                <details class="chart-table">
                    <summary>"Table"</summary>
                    <table class="table">
                        <thead><tr><th scope="col">"Day"</th><th scope="col">"Credits"</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </details>
            })}
        </figure>
    }
    .into_any()
}
