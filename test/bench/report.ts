/** What a bench prints: a table for people, or with --json everything it measured and on what machine. */
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { type Effort, FULL, QUICK, type Timed } from './measure.ts'

/** What a figure is held against, measured in the same run. */
export interface Floor {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** How much of the floor one of what is measured needs. */
  readonly each?: number
  /** The share of what the floor alone would allow. */
  readonly share?: number
}

export interface Row {
  /** Stable, as in `adjacent.4`. */
  readonly id: string
  readonly what: string
  readonly value: number
  readonly unit: string
  /** The figure of the design, where there is one. */
  readonly asked?: string
  readonly floor?: Floor
  readonly note?: string
  readonly lowest?: number
  readonly highest?: number
  readonly samples?: Timed['samples']
  readonly clock?: Timed['clock']
  /** What was counted, where that is more than one number. */
  readonly counts?: Readonly<Record<string, number>>
}

export interface BenchOptions {
  readonly effort: Effort
  readonly quick: boolean
  /** The least that shows that the bench runs. */
  readonly smoke: boolean
  /** What was given for the flags of this bench alone. */
  readonly numbers: Readonly<Record<string, number>>
}

const HELP = (name: string, about: string, more: Readonly<Record<string, string>>) => `npm run ${name} -- [options]

${about}

  --json    everything as JSON: the machine, each figure, its floor and the raw samples
  --quick   a minute at most: fewer and shorter samples, smaller states
  --smoke   whether it runs at all: no figure means anything
  --help    this text
${Object.entries(more)
  .map(([flag, what]) => `  --${flag} N  ${what}\n`)
  .join('')}`

/** A timed rate as a row. */
export const rateRow = (
  row: Pick<Row, 'id' | 'what' | 'unit'> & Partial<Pick<Row, 'asked' | 'floor' | 'note'>>,
  { median, lowest, highest, samples, clock }: Timed,
): Row => ({ ...row, value: median, lowest, highest, samples, clock })

/** Rates beside a floor of which each of them needs `each`. */
export const floorOf = (what: string, unit: string, floor: Timed, each: number, reached: Timed): Floor => ({
  what,
  value: floor.median,
  unit,
  each,
  share: (reached.median * each) / floor.median,
})

const machine = () => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  load: loadavg(),
  node: process.version,
  openssl: process.versions.openssl,
  platform: `${process.platform} ${process.arch}`,
})

function commit(): string | undefined {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim()
  } catch {
    // An unpacked archive has no history.
    return undefined
  }
}

const number = (value: number): string =>
  Number.isInteger(value) || value >= 1000
    ? Math.round(value).toLocaleString('en')
    : value >= 10
      ? value.toFixed(0)
      : value.toPrecision(2)

function lineOf(row: Row): readonly string[] {
  const spread = row.lowest === undefined ? '' : `${number(row.lowest)} .. ${number(row.highest!)}`
  const floor =
    row.floor === undefined
      ? ''
      : [
          `${number(row.floor.value)} ${row.floor.unit}`,
          ...(row.floor.each === undefined || row.floor.each === 1 ? [] : [`${row.floor.each} each`]),
          ...(row.floor.share === undefined ? [] : [`${Math.round(row.floor.share * 100)} %`]),
        ].join(', ')
  return [row.what, `${number(row.value)} ${row.unit}`, spread, row.asked ?? '', floor, row.note ?? '']
}

function table(rows: readonly Row[]): string {
  const lines = [['what', 'reached', 'spread', 'asked', 'floor, needed, share', ''], ...rows.map(lineOf)]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map(line => line[column]!.length)))
  return lines
    .map(line =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Rows, and what they come to under names that others read. */
export interface Findings {
  readonly rows: readonly Row[]
  readonly facts?: Readonly<Record<string, unknown>>
}

/** Reads the flags, runs the bench and prints. Everything but the result goes to stderr. */
export async function runBench(
  name: string,
  about: string,
  bench: (options: BenchOptions) => Promise<readonly Row[] | Findings>,
  /** Flags of this bench alone, each a number, and what they mean. */
  ownFlags: Readonly<Record<string, string>> = {},
): Promise<void> {
  const args = process.argv.slice(2)
  const flag = { type: 'boolean' } as const
  const own = Object.fromEntries(Object.keys(ownFlags).map(name => [name, { type: 'string' } as const]))
  const flags = { ...own, json: flag, quick: flag, smoke: flag, help: flag }
  let values: { json?: boolean; quick?: boolean; smoke?: boolean; help?: boolean } & Record<string, unknown>
  const numbers: Record<string, number> = {}
  try {
    values = parseArgs({ args, options: flags }).values
    for (const flag of Object.keys(ownFlags)) {
      if (values[flag] === undefined) continue
      numbers[flag] = Number(values[flag])
      if (!(numbers[flag] > 0)) throw new Error(`--${flag} takes a number above 0, not ${values[flag]}`)
    }
  } catch (error) {
    // parseArgs says by throwing which flag it does not know.
    process.stderr.write(`${name}: ${(error as Error).message}\n`)
    process.exitCode = 2
    return
  }
  if (values.help) {
    process.stdout.write(HELP(name, about, ownFlags))
    return
  }
  const smoke = values.smoke === true
  const quick = smoke || values.quick === true
  const before = machine()
  const began = performance.now()
  const found = await bench({ effort: quick ? QUICK : FULL, quick, smoke, numbers })
  const { rows, ...more }: Findings = 'rows' in found ? found : { rows: found }
  const seconds = (performance.now() - began) / 1000
  const after = machine()
  if (values.json) {
    const command = ['npm', 'run', name, ...(args.length > 0 ? ['--', ...args] : [])].join(' ')
    const about = { bench: name.replace('bench:', ''), command, commit: commit(), seconds }
    const result = { ...about, machine: { ...before, loadAfter: after.load }, ...more, rows }
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
    return
  }
  const { cpu, cores, node, openssl, load } = before
  process.stdout.write(
    `${cpu}, ${cores} cores, Node ${node}, OpenSSL ${openssl}, load ${load[0]!.toFixed(2)} before and ${after.load[0]!.toFixed(2)} after, ${seconds.toFixed(0)} s\n` +
      `a rate is per second of processor time unless its note says wall; the spread is that of its samples\n\n${table(rows)}\n`,
  )
}
