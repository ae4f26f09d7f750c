/**
 * Requests on a TCP connection, several at once where the device can. The transaction number tells every answer's request,
 * so a late one is simply dropped; a number comes round again after 65,536 requests, long after any answer is dead.
 */

import { concat } from '../../protocol/bytes.ts'
import { decodeTcp, encodeTcp, type TcpFrame } from '../../protocol/modbus/frame.ts'
import { decodeAnswer, encodeRequest } from '../../protocol/modbus/pdu.ts'
import type { Fault, Result } from '../../protocol/result.ts'
import { fail, ok } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import { afterListening } from '../listening.ts'
import type { Cancel, Clock, Line, Timers } from '../ports.ts'
import type { Answered, Call, Exchange } from './exchange.ts'
import type { SlaveRecord } from './slave-record.ts'

export interface TcpParts {
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  readonly depth: number
  readonly slave: (unit: number) => SlaveRecord
  readonly count: (what: 'late' | 'junk') => void
  /** The stream lost its place and must start again. */
  readonly lost: (fault: Fault) => void
}

interface Pending {
  readonly call: Call
  readonly sentAt: Mono
  readonly settle: (result: Result<Answered>) => void
}

export function createTcpExchange({ line, clock, timers, depth, slave, count, lost }: TcpParts): Exchange {
  const pending = new Map<number, Pending>()
  let buffer: Uint8Array = new Uint8Array(0)
  let transaction = 0

  function answer({ transaction: number, unit, pdu }: TcpFrame, frame: Uint8Array, at: Mono): void {
    const mine = pending.get(number)
    if (mine === undefined) {
      count('late')
      return
    }
    if (unit !== mine.call.unit) {
      mine.settle(fail({ code: 'modbus.unit', expected: mine.call.unit, received: unit }))
      return
    }
    const record = slave(unit)
    record.learn(at - mine.sentAt)
    record.answered()
    const read = decodeAnswer(mine.call.request, pdu)
    mine.settle(read.ok ? ok({ answer: read.value, frame, at }) : fail({ ...read.fault, unit }))
  }

  return {
    depth,
    run: call =>
      new Promise(resolve => {
        transaction = (transaction + 1) & 0xffff
        const number = transaction
        const record = slave(call.unit)
        const timeoutMs = record.timeoutMs(0)
        let cancel: Cancel | undefined
        const settle = (result: Result<Answered>) => {
          cancel?.()
          pending.delete(number)
          resolve(result)
        }
        pending.set(number, { call, sentAt: clock.mono(), settle })
        cancel = afterListening(timeoutMs, clock, timers, () => {
          record.missed(clock.mono(), timeoutMs)
          settle(fail({ code: 'modbus.timeout', unit: call.unit, afterMs: Math.round(timeoutMs) }))
        })
        void line.write(encodeTcp(number, call.unit, encodeRequest(call.request))).then(written => {
          if (!written.ok) settle(written)
        })
      }),
    bytes: (chunk, at) => {
      buffer = concat(buffer, chunk)
      for (;;) {
        const pull = decodeTcp(buffer)
        if (pull.kind === 'need') return
        if (pull.kind === 'junk') {
          count('junk')
          buffer = new Uint8Array(0)
          lost(pull.fault)
          return
        }
        const frame = buffer.slice(0, pull.used)
        buffer = buffer.subarray(pull.used)
        answer(pull.value, frame, at)
      }
    },
    down: fault => {
      buffer = new Uint8Array(0)
      for (const { settle } of [...pending.values()]) settle(fail(fault))
    },
  }
}
