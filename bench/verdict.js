// From figures to what was asked: is the product where it should be?

import { labelOf } from './row-run.js';
import { PRODUCT } from './rows.js';

/**
 * @param {object} row
 * @param {object[]} results of that row
 * @param {string} name a contender
 * @returns {object | undefined} its result, in the shape that suited it best
 */
export function bestOf(row, results, name) {
  const sign = row.better === 'higher' ? -1 : 1;
  const own = results.filter((result) => result.name === name && result.median !== undefined);
  return own.sort((left, right) => sign * (left.median - right.median))[0];
}

/**
 * @param {object} row
 * @param {object[]} results of that row
 * @returns {{ text: string, wanted: string, reached: boolean }[]} one for each thing that the row has to reach
 */
export function verdicts(row, results) {
  const own = bestOf(row, results, PRODUCT);
  if (!own) return [];
  const limit = {
    text: `${own.median.toFixed(2)} ${row.unit}`,
    wanted: `at most ${row.limit} ${row.unit}`,
    reached: own.median <= row.limit,
  };
  const against = row.against.flatMap(({ name, shape, ratio, atMost }) => {
    const those = shape === undefined ? results : results.filter((result) => result.shape === shape);
    const peer = bestOf(row, those, name);
    if (!peer) return [];
    const whom = shape === undefined ? name : labelOf(peer);
    if (atMost !== undefined) {
      const times = own.median / peer.median;
      return [
        {
          text: `${times.toFixed(2)} × ${labelOf(peer)}`,
          wanted: `at most ${atMost} × ${whom}`,
          reached: times <= atMost,
        },
      ];
    }
    const reached = row.better === 'higher' ? own.median / peer.median : peer.median / own.median;
    const wanted = ratio === 1 ? `ahead of ${whom}` : `${ratio} × ${whom}`;
    return [{ text: `${reached.toFixed(2)} × ${labelOf(peer)}`, wanted, reached: reached >= ratio }];
  });
  return row.limit === undefined ? against : [limit, ...against];
}
