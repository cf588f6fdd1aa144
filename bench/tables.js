// The figures as Markdown, which is also readable in a terminal.

import { availableParallelism, cpus } from 'node:os';
import { basename } from 'node:path';
import { labelOf } from './row-run.js';
import { PRODUCT } from './rows.js';
import { bestOf, verdicts } from './verdict.js';

const START = '<!-- figures: written by bench/run.js -->';
const END = '<!-- end of figures -->';

/**
 * @param {{ row: object, results: object[] }[]} measured
 * @param {{ rounds: number, quick: boolean }} options
 * @returns {Promise<string>} all tables
 */
export async function tables(measured, { rounds, quick }) {
  const machine = `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} cores, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
  const run = `${rounds} rounds${quick ? ', **quick: figures mean little**' : ''}`;
  const figures = `Measured on ${machine}; ${run}. Figures are medians over the rounds, with minimum and maximum. A ratio above 1 means that we do better; where something is “at most”, it is our figure divided by the other.`;
  return [figures, reachTable(measured), allTable(measured), await durabilityTable(measured)].join('\n\n');
}

/**
 * @param {string} text a document with the two markers
 * @param {string} figures what to put between them
 * @returns {string} the document with the new figures; fails when the markers are missing
 */
export function replaceFigures(text, figures) {
  const start = text.indexOf(START);
  const end = text.indexOf(END);
  if (start < 0 || end < start) throw new Error(`the file needs the lines "${START}" and "${END}"`);
  return `${text.slice(0, start + START.length)}\n${figures}\n${text.slice(end)}`;
}

function reachTable(measured) {
  const lines = measured.map(({ row, results }) => {
    const own = bestOf(row, results, PRODUCT);
    const found = verdicts(row, results);
    return [
      row.title,
      own ? cell(row, own) : '–',
      found.map(({ text }) => text).join('; ') || '–',
      found.map(({ wanted }) => wanted).join('; ') || '–',
      found.map(({ reached }) => (reached ? 'yes' : 'no')).join('; ') || '–',
    ];
  });
  return markdown(['Work', 'We', 'Ratio', 'To reach', 'Reached'], lines);
}

function allTable(measured) {
  const lines = measured.flatMap(({ row, results }) =>
    results.map((result, at) => [
      at === 0 ? `\`${row.name}\`` : '',
      labelOf(result),
      result.error ? 'failed' : cell(row, result),
      ratioCell(row, results, result),
    ]),
  );
  return markdown(['Row', 'Contender', 'Median (min – max)', 'Ours against it'], lines);
}

function ratioCell(row, results, result) {
  const own = bestOf(row, results, PRODUCT);
  if (!own || result.median === undefined || result.name === PRODUCT) return '';
  const ratio = row.better === 'higher' ? own.median / result.median : result.median / own.median;
  return `${ratio.toFixed(2)} ×`;
}

async function durabilityTable(measured) {
  const seen = new Map();
  const taking = measured.flatMap(({ row }) => row.contenders.map((contender) => ({ row, ...contender })));
  for (const { row, module } of taking) {
    const name = basename(module);
    const { durability } = await import(`./${module}.js`);
    const [kind, words] = meaningOf(row, durability);
    seen.set(`${kind} ${name}`, [kind, name, words]);
  }
  return markdown(['Rows', 'Contender', 'What “done” means'], [...seen.values()]);
}

function meaningOf(row, durability) {
  if (typeof durability === 'string') return ['replicating', durability];
  return row.synced ? ['durable', durability.synced] : ['without sync', durability.unsynced];
}

function cell(row, { median, min, max }) {
  return `${format(median)} ${row.unit} (${format(min)} – ${format(max)})`;
}

function format(figure) {
  if (figure >= 1000) return Math.round(figure).toLocaleString('en-US');
  return figure >= 100 ? figure.toFixed(0) : figure.toFixed(2);
}

function markdown(heads, lines) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...lines.map(line)].join('\n');
}
