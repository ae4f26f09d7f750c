/** How the framings of a serial line differ, for the one exchange that serves them all. */
import {
  type AddressedRequest,
  decodeAsciiAnswer,
  decodeAsciiRequest,
  decodeRtuAnswer,
  decodeRtuRequest,
  encodeAscii,
  encodeRtu,
} from '../../protocol/modbus/frame.ts'
import { answerLength, type ModbusFault, type ModbusRequest } from '../../protocol/modbus/pdu.ts'
import type { Pull } from '../../protocol/result.ts'

export interface Framing {
  encode(unit: number, pdu: Uint8Array): Uint8Array
  decodeAnswer(unit: number, request: ModbusRequest, bytes: Uint8Array): Pull<Uint8Array, ModbusFault>
  /** Whose sound answer to this request stands anywhere in `bytes`. */
  answeringUnit(request: ModbusRequest, bytes: Uint8Array): number | undefined
  /**
   * A read as another master or a hearing adapter sends it. Writes come out as junk: what a write asks is what its answer
   * repeats.
   */
  decodeRead(bytes: Uint8Array): Pull<AddressedRequest, ModbusFault>
  /** Characters on the wire of a frame around a PDU of so many bytes. */
  characters(pduBytes: number): number
  /** The silence that goes before a request, in milliseconds. */
  silenceMs(characterMs: number): number
  /** Two characters further apart than this are not of one frame. */
  readonly gapMs: number
}

/** Silence around a frame: 3.5 characters, and the fixed 1.75 ms that the specification allows above 19,200 baud. */
const SILENCE_CHARACTERS = 3.5
const FAST_SILENCE_MS = 1.75
/** A character takes 0.52 ms at 19,200 baud and 0.29 ms at 38,400; a line without characters (TCP) counts as fast. */
const FAST_CHARACTER_MS = 0.5
/** The longest PDU. */
const PDU_MOST = 253
/** Functions 1 to 4: a request of 8 bytes, never an echo of a write. */
const READ_FUNCTION_MOST = 4

export const silenceOf = (characterMs: number): number =>
  characterMs < FAST_CHARACTER_MS ? FAST_SILENCE_MS : SILENCE_CHARACTERS * characterMs

/** Of ASCII, which says the unit in two digits. */
const COLON = 0x3a
const SERIAL_UNITS = Array.from({ length: 247 }, (_, i) => i + 1)

const NO_READ: Pull<never, ModbusFault> = {
  kind: 'junk',
  skip: 1,
  fault: { code: 'modbus.header', field: 'function', received: -1 },
}

const RTU: Framing = {
  encode: encodeRtu,
  decodeAnswer: decodeRtuAnswer,
  answeringUnit: (request, bytes) =>
    bytes.find((unit, at) => decodeRtuAnswer(unit, request, bytes.subarray(at)).kind === 'frame'),
  decodeRead: bytes => (bytes.length > 1 && bytes[1]! > READ_FUNCTION_MOST ? NO_READ : decodeRtuRequest(bytes)),
  characters: pduBytes => pduBytes + 3,
  // A stream over TCP needs no silence, but what comes on the heels of an answer, as its double, must not meet the next request.
  silenceMs: silenceOf,
  // The 1.5 characters of the specification cannot be seen through an adapter that hands over slices.
  gapMs: Number.POSITIVE_INFINITY,
}

const ASCII: Framing = {
  encode: encodeAscii,
  decodeAnswer: decodeAsciiAnswer,
  answeringUnit: (request, bytes) =>
    SERIAL_UNITS.find(unit =>
      bytes.some((byte, at) => byte === COLON && decodeAsciiAnswer(unit, request, bytes.subarray(at)).kind === 'frame'),
    ),
  decodeRead: bytes => {
    const pull = decodeAsciiRequest(bytes)
    return pull.kind === 'frame' && pull.value.request.fn > READ_FUNCTION_MOST ? NO_READ : pull
  },
  characters: pduBytes => 2 * pduBytes + 7,
  silenceMs: characterMs => (characterMs === 0 ? silenceOf(0) : 0),
  // MODBUS over Serial Line V1.02, 2.5.2.1: intervals of up to one second between characters.
  gapMs: 1_000,
}

export const FRAMINGS: Readonly<Record<'rtu' | 'ascii', Framing>> = { rtu: RTU, ascii: ASCII }

/** Behind a TCP stream sits a gateway whose serial wire is taken to be as slow as they usually are: 9,600 baud. */
export const GATEWAY_CHARACTER_MS = 10 / 9.6

/** Characters on the wire of a good answer, as far as the request tells. */
export function answerCharacters(framing: Framing, request: ModbusRequest): number {
  const size = answerLength(request, NOTHING)
  return framing.characters('length' in size ? size.length : PDU_MOST)
}

const NOTHING = new Uint8Array(0)
