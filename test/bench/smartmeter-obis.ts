/** smartmeter-obis (Node-RED and ioBroker read meters through it), its parsers alone: one telegram in, what it says of it out. */
import { createRequire } from 'node:module'

interface Measurement {
  valueToString(): string
}

/** A parser's answer comes through the callback; what it leaves of the bytes is returned. */
interface Parser {
  initState(): void
  checkMessage(message: Buffer): unknown
  handleMessage(message: Buffer): Buffer | null | undefined
  isProcessComplete(): boolean
}

type ParserClass = new (
  options: object,
  store: (error: Error | null, found: Readonly<Record<string, Measurement>> | null) => void,
) => Parser

const require = createRequire(import.meta.url)

/** Each value as name and text; none where the telegram was refused. It may throw. */
export type PeerDecoder = (telegram: Uint8Array) => readonly string[]

function createPeer(parserClass: ParserClass, options: object, messages: number): PeerDecoder {
  let values: readonly string[] = []
  const parser = new parserClass({ debug: 0, ...options }, (_, found) => {
    if (found !== null) values = Object.entries(found).map(([name, one]) => `${name} ${one.valueToString()}`)
  })
  return telegram => {
    values = []
    parser.initState()
    let rest: Buffer | null | undefined = Buffer.from(telegram)
    for (let n = 0; n < messages && rest && parser.checkMessage(rest); n++) rest = parser.handleMessage(rest)
    return values
  }
}

/** As it is meant to be used: telegrams whose checksum fails are errors. */
export const smlPeer = (): PeerDecoder =>
  createPeer(
    require('smartmeter-obis/lib/protocols/SmlProtocol.js'),
    { protocolSmlIgnoreInvalidCRC: false, protocolSmlInputEncoding: 'binary' },
    1,
  )

/** P1 is read as IEC 62056-21 mode D: identification, then data. */
export const p1Peer = (): PeerDecoder => createPeer(require('smartmeter-obis/lib/protocols/D0Protocol.js'), {}, 2)
