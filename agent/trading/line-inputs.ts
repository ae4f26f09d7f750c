/** What a line's state of this moment means to the deal that holds it, as inputs of the deal's table. Pure. */
import { registerEnergy } from '../../protocol/reading/reading.ts'
import type { Fault } from '../../protocol/result.ts'
import type { Limits, Seen } from '../../protocol/safety/facts.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Deal, Input } from '../../protocol/trade/deal-state.ts'
import { dealRegister, wholeBetween } from '../../protocol/trade/receipt.ts'
import type { Latest } from '../metering/run.ts'

export interface LineNow {
  readonly mono: Mono
  readonly limits: Limits
  readonly contact: Seen
  readonly own: Seen
  /** The line meter's. */
  readonly latest: Latest | undefined
  readonly brokersUp: number
  /** When the other end was certainly alive; undefined before its first echo. */
  readonly aliveAt: Mono | undefined
  /** Why the light client trusts nothing any more. */
  readonly distrust: Fault | undefined
}

export function lineInputs({ begin, role }: Deal, now: LineNow): readonly Input[] {
  const { mono, limits, latest } = now
  const inputs: Input[] = []
  const ageMs = latest === undefined ? Number.MAX_SAFE_INTEGER : mono - latest.reading.takenMono
  const stale = ageMs > limits.readingMs
  const mv = stale ? undefined : latest?.voltage
  const line = mv === undefined ? 'unknown' : mv < limits.deadMv ? 'dead' : 'live'
  inputs.push({ kind: 'facts', facts: { contact: now.contact, own: now.own, line } })
  if (stale) inputs.push({ kind: 'meter-stale', ageMs })
  if (now.brokersUp === 0) inputs.push({ kind: 'broker-down' })
  if (now.aliveAt !== undefined && mono - now.aliveAt > limits.heartbeatMs) {
    inputs.push({ kind: 'heartbeat-lost', ageMs: mono - now.aliveAt })
  }
  if (now.distrust !== undefined) inputs.push({ kind: 'lock-refused', fault: now.distrust })
  const register =
    latest === undefined ? undefined : registerEnergy({ registers: latest.reading.values }, dealRegister(role))
  if (begin !== undefined && register !== undefined && register >= begin.register) {
    inputs.push({ kind: 'metered', side: 'own', energy: wholeBetween(begin.register, register) })
  }
  return inputs
}
