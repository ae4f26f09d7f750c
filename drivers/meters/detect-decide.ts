/**
 * Which pages fit a slave, by what its registers hold: its serial number where the page has one, and a voltage and a frequency
 * that a grid can have. Nothing here is more certain than that; a slave whose registers fit no page fits none.
 */
import { toHex } from '../../protocol/bytes.ts'
import {
  type Channel,
  identityText,
  type MeterPage,
  pageOfModel,
  type Quantity,
  type Register,
  readRegister,
  type Span,
} from './page.ts'

/** A span's bytes, or undefined where the slave refused it or did not answer. */
export type Held = (span: Span) => Uint8Array | undefined

export interface Fit {
  readonly page: string
  /**
   * `certain`: the code of a product of this page stands in its model register.
   * `likely`: a serial number where this page has it, everything measured in range, and no other page fits as well.
   * `possible`: less than that.
   */
  readonly certainty: 'certain' | 'likely' | 'possible'
  /** undefined where the product tells none. */
  readonly meterId: string | undefined
  /** What was compared, as in `voltageL1 230.1`. */
  readonly because: readonly string[]
}

/** Single-phase supplies and the phases of all others, in volts, and what they may fall or rise to. */
const VOLTS = [85, 300] as const
/** 50 and 60 Hz, and further off than any grid has run. */
const HERTZ = [45, 65] as const

const RANGES: { readonly [C in Channel]?: readonly [least: number, most: number] } = {
  voltageL1: VOLTS,
  voltageL2: VOLTS,
  voltageL3: VOLTS,
  frequency: HERTZ,
}
/** Phases that nothing is wired to read 0. */
const MAY_BE_ZERO: ReadonlySet<Channel> = new Set(['voltageL2', 'voltageL3'])

const tested = (page: MeterPage): [Channel, Register<Quantity>][] =>
  (Object.keys(RANGES) as Channel[]).flatMap(channel => {
    const register: Register<Quantity> | undefined = page.registers[channel]
    return register === undefined ? [] : [[channel, register]]
  })

/** What has to be read to judge a page, once its identity register holds something. */
export const spansToJudge = (page: MeterPage): readonly Span[] => [
  ...(page.model === undefined ? [] : [page.model]),
  ...tested(page).flatMap(([, register]) =>
    register.scaledBy === undefined ? [register] : [register, register.scaledBy],
  ),
]

/** Whether the identity register holds what could be an identity of this page. */
export function mayBe(page: MeterPage, held: Held): boolean {
  const bytes = held(page.identity)
  return bytes !== undefined && (page.identity.as === 'none' || identityText(page, bytes) !== undefined)
}

interface Judged {
  readonly page: MeterPage
  readonly meterId: string | undefined
  readonly because: readonly string[]
  /** What was in range, less what was not there. */
  readonly score: number
  readonly isModel: boolean
}

function judge(page: MeterPage, held: Held): Judged | undefined {
  const identity = held(page.identity)
  if (identity === undefined || !mayBe(page, held)) return undefined
  const code = page.model && held(page.model)
  const modelOf = page.model && code && pageOfModel(page.model, code)
  if (modelOf !== undefined && modelOf !== page.name) return undefined
  const isModel = modelOf !== undefined
  const because: string[] = isModel ? [`model ${toHex(code!.subarray(0, 2))}`] : []
  let score = 0
  for (const [channel, register] of tested(page)) {
    const bytes = held(register)
    const read = bytes && readRegister(page, register, bytes, register.scaledBy && held(register.scaledBy))
    const value = read && Number(read.value) * 10 ** read.scaler
    const [least, most] = RANGES[channel]!
    if (value !== undefined && value >= least && value <= most) {
      because.push(`${channel} ${Number(value.toPrecision(6))}`)
      score++
    } else if ((value === undefined || value === 0) && MAY_BE_ZERO.has(channel)) score--
    // Out of range, or not there at all: these registers are another product's.
    else return undefined
  }
  if (score <= 0 && !isModel) return undefined
  return { page, meterId: identityText(page, identity), because, score, isModel }
}

/** The pages that fit, the best first. */
export function fitsOf(pages: readonly MeterPage[], held: Held): readonly Fit[] {
  const judged = pages
    .flatMap(page => judge(page, held) ?? [])
    .sort((a, b) => Number(b.isModel) - Number(a.isModel) || b.score - a.score)
  return judged.map(({ page, meterId, because, score, isModel }, index) => {
    const rivals = judged.filter((other, at) => at !== index && (other.isModel || other.score >= score))
    const isLikely = meterId !== undefined && score >= 2 && rivals.length === 0
    const certainty = isModel ? 'certain' : isLikely ? 'likely' : 'possible'
    return { page: page.name, certainty, meterId, because }
  })
}
