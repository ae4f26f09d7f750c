/**
 * Adapters that hear their own transmitter. The answers to two writes are their requests again, so that such an adapter would
 * confirm them in the name of a dead slave: none is believed before a read has shown whether this adapter is one.
 */
import type { ModbusRequest } from '../../protocol/modbus/pdu.ts'
import type { Call } from './exchange.ts'

type RepeatedRequest = Extract<ModbusRequest, { fn: 5 | 6 }>

export const isRepeated = (request: ModbusRequest): request is RepeatedRequest => request.fn === 5 || request.fn === 6

/** A read of what this writes, to be sent before it where nothing was read yet; its value is nobody's. */
export const listenFirst = (unit: number, { fn, address }: RepeatedRequest): Call => ({
  unit,
  request: { fn: fn === 5 ? 1 : 3, address, count: 1 },
  urgent: true,
  canary: false,
  alone: false,
})
