/**
 * Finds the models of a SunSpec device (SunSpec Device Information Model Specification, "Modbus map"): the marker `SunS` at one
 * of three places, then models one behind the other, each with its id and length, up to the end model 0xFFFF.
 *
 * Pure: each step names the registers to read and takes what was heard. It ends after MOST_MODELS models or at the end of the
 * address space, whatever the device answers.
 */
import { fail, ok, type Result } from '../result.ts'

/** Holding registers, by protocol address from 0. */
export interface RegisterSpan {
  readonly address: number
  readonly count: number
}

export interface ModelPlace {
  readonly id: number
  /** Of the id register. */
  readonly address: number
  /** Registers behind the id and the length register. */
  readonly length: number
}

export interface ModelChain {
  /** Of the marker. */
  readonly base: number
  readonly models: readonly ModelPlace[]
  /** `refused`: where the end model should stand, the device has no register. */
  readonly end: 'marker' | 'refused'
}

/** Opaque to whoever drives the walk. */
export interface WalkState {
  readonly bases: readonly number[]
  /** Of the models' registers that come next; undefined while the marker is looked for. */
  readonly at: number | undefined
  readonly models: readonly ModelPlace[]
}

export type WalkStep =
  | { readonly kind: 'read'; readonly state: WalkState; readonly span: RegisterSpan }
  | { readonly kind: 'end'; readonly chain: Result<ModelChain> }

/** The standard's places, the likeliest first, and their neighbours: some gateways count registers from 1. */
const BASES: readonly number[] = [40_000, 50_000, 0, 39_999, 40_001, 1]
const MARKER = [0x53, 0x75, 0x6e, 0x53]
const END_MODEL = 0xffff
const COMMON_MODEL = 1
const ADDRESSES = 0x1_0000
/** A device that serves meters, inverters, batteries and controls has some thirty. */
const MOST_MODELS = 100

export const beginWalk = (bases: readonly number[] = BASES): WalkStep => look({ bases, at: undefined, models: [] })

function look(state: WalkState): WalkStep {
  const address = state.at ?? state.bases[0]
  if (address === undefined) return { kind: 'end', chain: fail({ code: 'sunspec.no-marker' }) }
  return { kind: 'read', state, span: { address, count: 2 } }
}

/** What to do after `answer` came for the span of the step before: its 4 bytes, or that there is no such register. */
export function stepWalk(state: WalkState, answer: Uint8Array | 'refused'): WalkStep {
  const { bases, at, models } = state
  const base = bases[0]!
  if (at === undefined) {
    const found = answer !== 'refused' && answer.length === 4 && MARKER.every((byte, i) => answer[i] === byte)
    return look(found ? { bases, at: base + 2, models } : { bases: bases.slice(1), at: undefined, models })
  }
  const end = (how: ModelChain['end']): WalkStep => ({ kind: 'end', chain: ok({ base, models, end: how }) })
  const lost = (why: string, more: Record<string, number> = {}): WalkStep => ({
    kind: 'end',
    chain: fail({ code: `sunspec.${why}`, address: at, ...more }),
  })
  if (answer === 'refused') return models.length > 1 ? end('refused') : lost('no-model')
  if (answer.length !== 4) return lost('answer', { expected: 4, received: answer.length })
  const id = (answer[0]! << 8) | answer[1]!
  const length = (answer[2]! << 8) | answer[3]!
  if (models.length === 0 && id !== COMMON_MODEL) return lost('no-common-model', { received: id })
  if (id === END_MODEL) return end('marker')
  const next = at + 2 + length
  // The end model's id has to fit behind it.
  if (length === 0 || next >= ADDRESSES) return lost('model-length', { model: id, length })
  if (models.length >= MOST_MODELS) return lost('too-many-models', { most: MOST_MODELS })
  const longer = [...models, { id, address: at, length }]
  // One register is left for the end model's id and none for its length: that is an end too.
  return next + 2 > ADDRESSES
    ? { kind: 'end', chain: ok({ base, models: longer, end: 'refused' }) }
    : look({ bases, at: next, models: longer })
}

/** The common model (manufacturer, serial number) of the device that `model` belongs to: the nearest one before it. */
export const commonOf = (chain: ModelChain, model: ModelPlace): ModelPlace =>
  chain.models.findLast(({ id, address }) => id === COMMON_MODEL && address <= model.address)!
