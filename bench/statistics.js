// What is said about a handful of measurements.

/**
 * @param {number[]} values at least one
 * @param {number} fraction between 0 and 1
 * @returns {number} the value below which that fraction of them lies, interpolated between neighbours
 */
export function quantile(values, fraction) {
  const sorted = [...values].sort((left, right) => left - right);
  const place = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  return below + (above - below) * (place - Math.floor(place));
}

/**
 * @param {number[]} values at least one
 * @returns {{ median: number, min: number, max: number }} what a table cell shows
 */
export function summary(values) {
  return { median: quantile(values, 0.5), min: Math.min(...values), max: Math.max(...values) };
}
