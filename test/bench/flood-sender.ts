/**
 * Whoever floods, as a process of its own: publishes to an agent's topic at a rate, until its input ends. It speaks MQTT 3.1.1 by hand, at QoS 0, so that
 * twenty thousand messages a second cost it little; says `ready` first, and how many it sent when it ends.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { keysFromSeed } from '../../agent/world.ts'
import { benchSeed } from '../../hw/sim/street.ts'
import { concat, utf8 } from '../../protocol/bytes.ts'
import { assemble, kidOf, protectedHeader, toBeSigned } from '../../protocol/crypto/cose.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { MESSAGE_CONTEXT, pairKeys, seal, sealingKey } from '../../protocol/crypto/seal.ts'
import { STAMP_RANDOM_BYTES, stampNonce } from '../../protocol/crypto/stamp.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { encodeMessage, topicOf } from '../../protocol/trade/message.ts'

export type FloodKind =
  | 'valid'
  | 'forged'
  | 'neighbour'
  | 'recorded'
  | 'malformed'
  | 'oversized'
  | 'stranger'
  | 'retained'

export interface FloodTask {
  readonly port: number
  readonly seed: number
  /** Site that is flooded, whom it knows and who floods it, and whom it trades with. */
  readonly target: string
  readonly from: string
  readonly neighbour: string
  readonly kinds: readonly FloodKind[]
  readonly perSecond: number
}

/** Distinct messages of each kind; they come again, as whoever recorded them would send them. */
const POOL = 400
const TURN_MS = 5

const task = JSON.parse(process.argv[2]!) as FloodTask
const keysOf = (site: string) => keysFromSeed(benchSeed(task.seed, site))
const target = keysOf(task.target)
const to = addressOf(target.account.publicKey)
const topic = topicOf(to)
const HEADER_BYTES = 21

/** What a site really signed and sealed, in boot 1 or before it. */
async function validLetter(site: string, epoch: number, sequence: number): Promise<Uint8Array> {
  const keys = keysOf(site)
  const from = addressOf(keys.account.publicKey)
  const header = protectedHeader(keys.account.alg, kidOf(keys.account.alg, keys.account.publicKey))
  const body = { kind: 'decline', id: new Uint8Array(16), reason: 'flood' } as const
  const payload = encodeMessage({
    from,
    to,
    epoch,
    sequence,
    sent: instant(Date.now()),
    reliable: sequence % 2 === 0,
    body,
  })
  const signature = must(await keys.account.sign(toBeSigned(header, payload, MESSAGE_CONTEXT)))
  const pair = must(pairKeys(sealingKey(keys.sealing), target.sealingPublic))
  const nonce = stampNonce(pair.send.stamp, { epoch, number: sequence }, randomBytes(STAMP_RANDOM_BYTES))
  return seal(pair.send.seal, from, topic, nonce, assemble(header, payload, signature))
}

const inNameOf = (address: Uint8Array, bytes: number): Uint8Array =>
  concat(Uint8Array.of(1), address, randomBytes(bytes - HEADER_BYTES))

async function letterOf(kind: FloodKind, n: number): Promise<Uint8Array> {
  switch (kind) {
    case 'valid':
      return validLetter(task.from, 1, n + 1)
    case 'forged':
      return inNameOf(addressOf(keysOf(task.from).account.publicKey), 300)
    case 'neighbour':
      return inNameOf(addressOf(keysOf(task.neighbour).account.publicKey), 300)
    case 'recorded':
      return validLetter(task.neighbour, 0, n + 1)
    case 'malformed':
      return randomBytes(n % 300)
    case 'oversized':
      return inNameOf(addressOf(keysOf(task.from).account.publicKey), 6_000)
    case 'stranger':
    case 'retained':
      return inNameOf(randomBytes(20), 300)
  }
}

/** MQTT 3.1.1, 2.2.3: seven bits a byte, the low ones first. */
function remaining(length: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = length; bytes.length === 0 || rest > 0; rest >>= 7)
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
  return Uint8Array.from(bytes)
}
const text = (value: string) => concat(Uint8Array.of(value.length >> 8, value.length & 0xff), utf8(value))
const packet = (first: number, ...parts: readonly Uint8Array[]) => {
  const body = concat(...parts)
  return concat(Uint8Array.of(first), remaining(body.length), body)
}

const pool: Uint8Array[] = []
for (const kind of task.kinds) {
  const each = Math.ceil(POOL / task.kinds.length)
  for (let n = 0; n < each; n++)
    pool.push(packet(kind === 'retained' ? 0x31 : 0x30, text(topic), await letterOf(kind, n)))
}
const socket = connect(task.port, '127.0.0.1')
await once(socket, 'connect')
socket.write(packet(0x10, text('MQTT'), Uint8Array.of(4, 2, 0, 60), text('flooder')))
await once(socket, 'data')
socket.resume()
socket.on('error', () => {})

let sent = 0
const began = performance.now()
const timer = setInterval(() => {
  // What the broker does not take now is not sent later.
  const due = Math.min(((performance.now() - began) * task.perSecond) / 1000 - sent, task.perSecond / 10)
  if (due <= 0 || socket.writableLength > 4 << 20) return
  const batch: Uint8Array[] = []
  for (let n = 0; n < due; n++) batch.push(pool[(Math.random() * pool.length) | 0]!)
  sent += batch.length
  socket.write(concat(...batch))
}, TURN_MS)
process.stdout.write(`${JSON.stringify({ ready: true })}\n`)
process.stdin.resume()
await once(process.stdin, 'end')
clearInterval(timer)
process.stdout.write(`${JSON.stringify({ sent })}\n`)
socket.destroy()
