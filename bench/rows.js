// What is measured: the rows of the table, who takes part in each, and what we want to reach.

import { storeRows } from './store/rows.js';
import { nodeRows } from './sync/rows.js';

/** Which contender is the product. */
export const PRODUCT = 'softadastra';

/**
 * `better` says which way is good; `against` names the results that the product is held to, with the `ratio` to reach
 * (above 1 always means that the product does better), or with how many times the other figure its own may be
 * (`atMost`). Some rows have a `limit` for the product's own figure, with or without others to hold it to. `quick`
 * replaces counts in a quick run.
 *
 * `prepare` makes a directory that all rounds of a contender use, one after another; with `restored` each round gets
 * a copy of it. A contender may say otherwise about anything but the unit: then it is what others are compared to.
 */
export const rows = [...storeRows, ...nodeRows];
