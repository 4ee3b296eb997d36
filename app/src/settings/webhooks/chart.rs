//! A small chart: SVG with attributes only, and the table with its figures.

use domain::webhooks::Chart;
use domain::{Timestamp, grouped};
use leptos::prelude::*;

use crate::ui::view;

/// In units of the drawing.
const HEIGHT: u64 = 48;
const STEP: usize = 10;
const WIDTH: usize = 8;

/// `title` names the period.
pub fn chart(title: &'static str, chart: &Chart) -> AnyView {
    let total = chart.succeeded + chart.failed;
    let most = chart
        .bars
        .iter()
        .map(|bar| bar.succeeded + bar.failed)
        .max()
        .unwrap_or(0)
        .max(1);
    let rate = rate(chart.succeeded, total);
    let summary = format!(
        "{title}: {}, {rate} successful, average {} ms, slowest {} ms",
        attempts(total),
        chart.average,
        chart.slowest
    );
    let mut bars = String::new();
    for (index, bar) in chart.bars.iter().enumerate() {
        // Every count above zero is visible.
        let high = |count: u64| {
            if count == 0 {
                0
            } else {
                (count * HEIGHT / most).max(2)
            }
        };
        let (good, bad) = (high(bar.succeeded), high(bar.failed));
        let x = index * STEP + 1;
        bars += &format!(
            r#"<rect class="bar-good" x="{x}" y="{}" width="{WIDTH}" height="{good}"/><rect class="bar-bad" x="{x}" y="{}" width="{WIDTH}" height="{bad}"/>"#,
            (HEIGHT + 4).saturating_sub(good),
            (HEIGHT + 4).saturating_sub(good + bad),
        );
    }
    let view_box = format!("0 0 {} {}", chart.bars.len() * STEP, HEIGHT + 4);
    let rows = chart
        .bars
        .iter()
        .filter(|bar| bar.succeeded + bar.failed > 0)
        .map(|bar| {
            view! {
                <tr>
                    <th scope="row">{Timestamp::from_millis(bar.at).exact()}</th>
                    <td>{bar.succeeded}</td><td>{bar.failed}</td><td>{bar.average}" ms"</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <figure class="chart">
            <figcaption>
                <span class="chart-title">{title}</span>
                <span class="tabular">{rate}</span>
                <span class="muted small tabular">{format!("{} · {} ms on average", attempts(total), chart.average)}</span>
            </figcaption>
            <svg class="chart-drawing" viewBox=view_box preserveAspectRatio="none" role="img" aria-label=summary inner_html=bars></svg>
            {(total > 0).then(|| view! {
                <details class="chart-table">
                    <summary>"Table"</summary>
                    <table class="table">
                        <thead><tr>
                            <th scope="col">"From"</th><th scope="col">"Succeeded"</th><th scope="col">"Failed"</th>
                            <th scope="col">"Average"</th>
                        </tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </details>
            })}
        </figure>
    }
    .into_any()
}

/// `99.7%`, in tenths, never rounded up to 100%.
pub fn rate(good: u64, total: u64) -> String {
    match total {
        0 => "—".to_owned(),
        _ if good == total => "100%".to_owned(),
        total => {
            let tenths = good * 1000 / total;
            format!("{}.{}%", tenths / 10, tenths % 10)
        }
    }
}

/// `1 attempt`, `2,116 attempts`.
pub fn attempts(count: u64) -> String {
    match count {
        1 => "1 attempt".to_owned(),
        _ => format!("{} attempts", grouped(count.cast_signed())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_never_rounded_up_to_all() {
        assert_eq!(rate(0, 0), "—");
        assert_eq!(rate(7, 7), "100%");
        assert_eq!(rate(99_999, 100_000), "99.9%");
        assert_eq!(rate(1, 3), "33.3%");
    }

    #[test]
    fn attempts_are_counted_in_english() {
        assert_eq!(attempts(0), "0 attempts");
        assert_eq!(attempts(1), "1 attempt");
        assert_eq!(attempts(2116), "2,116 attempts");
    }
}
