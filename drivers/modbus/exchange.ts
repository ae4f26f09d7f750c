/** One request and its answer on a line: what the scheduler asks of a framing. Types only. */
import type { ModbusAnswer, ModbusRequest } from '../../protocol/modbus/pdu.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'

export interface Call {
  readonly unit: number
  readonly request: ModbusRequest
  /** A relay command: neither quarantine nor the quiet after a timeout holds it back. */
  readonly urgent: boolean
  /** The read that shows, after a timeout, that its slave is the same and keeps up: its identity register. */
  readonly canary: boolean
  /** A canary of a signature that no other read has: a late answer of its own is as good as a fresh one. */
  readonly alone: boolean
}

export interface Answered {
  readonly answer: ModbusAnswer
  /** The whole frame as it stood on the wire. */
  readonly frame: Uint8Array
  /** When the request was sent. What the answer says was measured after that, and maybe long before it was heard. */
  readonly asked: Mono
}

export interface Exchange {
  /** How many calls may be under way at once. */
  readonly depth: number
  run(call: Call): Promise<Result<Answered>>
  bytes(chunk: Uint8Array, at: Mono): void
  /** The line went down: everything under way ends with this fault. */
  down(fault: Fault): void
}
