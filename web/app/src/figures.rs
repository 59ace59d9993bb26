//! Numbers as people read them.

/// Decimal megabytes and their like: `98.4 MB`.
pub fn bytes(count: u64) -> String {
    let count = count as f64;
    match count {
        c if c < 1e3 => format!("{c:.0} B"),
        c if c < 1e6 => format!("{:.1} kB", c / 1e3),
        c if c < 1e9 => format!("{:.1} MB", c / 1e6),
        c => format!("{:.2} GB", c / 1e9),
    }
}

/// `in one thread`, `in 4 threads`.
pub fn threads(count: u32) -> String {
    if count == 1 { "in one thread".into() } else { format!("in {count} threads") }
}

/// `8 s`, `2 min`, `1 h 5 min`.
pub fn duration(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 0.95 => format!("{s:.1} s"),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 3600.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h {:.0} min", (s / 3600.0).floor(), (s % 3600.0) / 60.0),
    }
}

/// A strength: `+1.6×`, `−0.35×`, `0×`.
pub fn strength(value: f32) -> String {
    let digits = format!("{:.2}", value.abs());
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    let sign = match value {
        v if digits == "0" || v == 0.0 => "",
        v if v > 0.0 => "+",
        _ => "−",
    };
    format!("{sign}{digits}×")
}

/// A probability from its natural log: `42 %`, `0.3 %`, `<0.01 %`.
pub fn probability(log_prob: f32) -> String {
    match 100.0 * f64::from(log_prob).exp() {
        p if p >= 99.95 => "100 %".into(),
        p if p >= 9.95 => format!("{p:.0} %"),
        p if p >= 0.1 => format!("{p:.1} %"),
        p if p >= 0.01 => format!("{p:.2} %"),
        _ => "<0.01 %".into(),
    }
}

/// A change against `before`: `+6 %`, `−0.4 %`, `±0 %`, `178-fold`.
pub fn change(before: f64, after: f64) -> String {
    let percent = 100.0 * (after / before - 1.0);
    match percent.abs() {
        p if p.is_nan() => "no number".into(),
        p if p < 0.05 => "±0 %".into(),
        p if p < 9.95 => format!("{}{p:.1} %", if percent > 0.0 { '+' } else { '−' }),
        p if p < 900.0 => format!("{}{p:.0} %", if percent > 0.0 { '+' } else { '−' }),
        _ => format!("{}-fold", quantity(after / before)),
    }
}

/// Three significant digits, as far as they are worth reading.
pub fn quantity(value: f64) -> String {
    match value.abs() {
        v if v.is_nan() => "no number".into(),
        v if v.is_infinite() || v >= 1e6 => format!("{value:.1e}"),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.2}"),
        v if v >= 0.001 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

/// `1,234,567`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Mean and sample standard deviation; `None` for no values, a deviation of 0 for one.
pub fn mean_and_deviation(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = (!values.is_empty()).then(|| values.iter().sum::<f64>() / n)?;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Some((mean, (squares / (n - 1.0).max(1.0)).sqrt()))
}

/// How far a compact vector is off, by its relative error.
pub fn code_error(error: f32) -> String {
    format!("vectors {:.1} % off (cosine {:.4})", 100.0 * error, 1.0 - error * error / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(98_362_432), "98.4 MB");
        assert_eq!(duration(7.6), "8 s");
        assert_eq!(duration(3900.0), "1 h 5 min");
        assert_eq!([strength(1.6), strength(-0.35), strength(0.0), strength(-0.001)], ["+1.6×", "−0.35×", "0×", "0×"]);
        assert_eq!([probability(0.0), probability(-0.87), probability(-20.0)], ["100 %", "42 %", "<0.01 %"]);
        assert_eq!([change(21.3, 22.6), change(5.0, 5.0), change(4.0, 3.0)], ["+6.1 %", "±0 %", "−25 %"]);
        assert_eq!(change(17.0, 3035.0), "179-fold");
        assert_eq!([quantity(0.414), quantity(21.34), quantity(0.0)], ["0.41", "21.3", "0.00"]);
        assert_eq!([grouped(7), grouped(1000), grouped(134_515_008)], ["7", "1,000", "134,515,008"]);
    }

    #[test]
    fn a_deviation_is_of_the_sample() {
        assert_eq!(mean_and_deviation(&[]), None);
        assert_eq!(mean_and_deviation(&[3.0]), Some((3.0, 0.0)));
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), Some((2.0, 2.0_f64.sqrt())));
    }
}
