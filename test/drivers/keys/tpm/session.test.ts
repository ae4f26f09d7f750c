/** Somebody on the bus between the agent and its TPM, who listens, changes, or takes the TPM's part. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemEntropy } from '../../../../drivers/crypto/entropy.ts'
import { attestTpmKey } from '../../../../drivers/keys/tpm/attest-key.ts'
import { makeTpmKey } from '../../../../drivers/keys/tpm/make-key.ts'
import { withPrimary } from '../../../../drivers/keys/tpm/primary.ts'
import { openTpmSigner } from '../../../../drivers/keys/tpm/signer.ts'
import { openTpm, type Tpm } from '../../../../drivers/keys/tpm/tpm.ts'
import { concat, hex, toHex } from '../../../../protocol/bytes.ts'
import { must, type Result } from '../../../../protocol/result.ts'
import {
  create,
  flushContext,
  getHandles,
  HIERARCHY,
  load,
  makePersistent,
  sign,
} from '../../../../protocol/tpm/commands.ts'
import { nameOf, TEMPLATE } from '../../../../protocol/tpm/public-area.ts'
import { assert, suite } from '../../../harness.ts'
import { noSwtpm, type Swtpm, startSwtpm, time } from './swtpm.ts'

const test = suite('tpm sessions')

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const place = { handle: 0x8102_0001, auth: systemEntropy.bytes(16) }
const SIGN = 0x5d
const LOADED_SESSIONS = 0x0200_0000

interface Bus {
  readonly sw: Swtpm
  /** Through the one who listens. */
  readonly tpm: Tpm
  /** Everything that passed, as hex. */
  traffic(): string
  /** What becomes of a command or an answer on its way; the last command's code tells what it is about. */
  tamper(change: ((bytes: Uint8Array, from: 'agent' | 'tpm', code: number) => Uint8Array) | undefined): void
}

function withBus(title: string, body: (bus: Bus) => Promise<void>, deadlineMs?: number): void {
  test.skipIf(
    noSwtpm,
    title,
    async () => {
      const sw = await startSwtpm()
      const folder = mkdtempSync(join(tmpdir(), 'tieline-tap-'))
      const path = join(folder, 'socket')
      const sockets = new Set<Socket>()
      let heard = ''
      let change: Parameters<Bus['tamper']>[0]
      const server = createServer(agent => {
        const chip = connect(sw.where.slice('unix:'.length))
        let code = 0
        for (const [from, to, name] of [
          [agent, chip, 'agent'],
          [chip, agent, 'tpm'],
        ] as const) {
          sockets.add(from)
          from.on('error', () => to.destroy())
          from.on('close', () => to.destroy())
          from.on('data', (chunk: Buffer) => {
            if (name === 'agent') code = chunk[9]!
            heard += toHex(chunk)
            to.write(change === undefined ? chunk : change(new Uint8Array(chunk), name, code))
          })
        }
      })
      await new Promise<void>(resolve => server.listen(path, resolve))
      const tpm = must(openTpm(`unix:${path}`, time))
      try {
        await body({
          sw,
          tpm,
          traffic: () => heard,
          tamper: next => {
            change = next
          },
        })
      } finally {
        await tpm.close()
        for (const socket of sockets) socket.destroy()
        await new Promise(resolve => server.close(resolve))
        rmSync(folder, { recursive: true })
        await sw.end()
      }
    },
    deadlineMs,
  )
}

withBus('the authorization value never crosses the bus: made, used for signatures, certified', async bus => {
  must(await makeTpmKey(bus.tpm, place))
  const signer = must(await openTpmSigner(bus.tpm, place))
  must(await signer.sign(hex('01')))
  must(await attestTpmKey(bus.tpm, place, new Uint8Array(16)))
  assert.ok(bus.traffic().length > 2_000)
  assert.not.ok(bus.traffic().includes(toHex(place.auth)))
  // Without the session it would be heard.
  must(await bus.tpm.run(sign({ handle: place.handle, name: hex(''), auth: place.auth }, new Uint8Array(32))))
  assert.ok(bus.traffic().includes(toHex(place.auth)))
})

withBus(
  'every bit of an answer changed on its way is a fault, and the next signature works',
  async bus => {
    must(await makeTpmKey(bus.tpm, place))
    const signer = must(await openTpmSigner(bus.tpm, place))
    let length = 0
    bus.tamper((bytes, from, code) => {
      if (from === 'tpm' && code === SIGN) length = bytes.length
      return bytes
    })
    must(await signer.sign(hex('01')))
    assert.ok(length > 140)
    // Bytes 2 to 5 are the size: told longer, the answer is waited for until its deadline.
    for (let at = 6; at < length; at++) {
      let changed = 0
      bus.tamper((bytes, from, code) => {
        // Once: a refusal is followed by a try with a new session.
        if (from === 'tpm' && code === SIGN && changed++ === 0) bytes[at]! ^= 1 << (at % 8)
        return bytes
      })
      const answer = await signer.sign(Uint8Array.of(at))
      assert.is(changed > 0, true)
      if (answer.ok) assert.ok(at < 10 && changed === 2, `byte ${at}`)
      bus.tamper(undefined)
      must(await signer.sign(Uint8Array.of(at)))
    }
  },
  90_000,
)

/** The digest stands before scheme and ticket, which take ten bytes. */
const otherDigest = (bytes: Uint8Array, from: 'agent' | 'tpm', code: number): Uint8Array => {
  if (from === 'agent' && code === SIGN) bytes[bytes.length - 11]! ^= 1
  return bytes
}

withBus('another hash than the one that was asked for is not signed; what was wrong on the bus passes', async bus => {
  must(await makeTpmKey(bus.tpm, place))
  const signer = must(await openTpmSigner(bus.tpm, place))
  bus.tamper(otherDigest)
  for (let n = 0; n < 20; n++) assert.is(codeOf(await signer.sign(hex('01'))), 'tpm.auth')
  bus.tamper(undefined)
  must(await signer.sign(hex('01')))
})

withBus('a key that counts wrong passwords is not asked again after one, lest the TPM locks itself', async bus => {
  // As the metering key, but for noDA, bit 10.
  const counted = concat(TEMPLATE.metering.subarray(0, 4), hex('00040072'), TEMPLATE.metering.subarray(8))
  const kept = await withPrimary(bus.sw.tpm, HIERARCHY.owner, TEMPLATE.storage, async (handle, area) => {
    const parent = { handle, name: nameOf(area), auth: hex('') }
    const loaded = must(
      await bus.sw.tpm.run(load(handle, must(await bus.sw.tpm.run(create(parent, counted, place.auth))))),
    )
    const stays = await bus.sw.tpm.run(makePersistent(loaded, place.handle))
    must(await bus.sw.tpm.run(flushContext(loaded)))
    return stays
  })
  must(kept)
  await bus.sw.tpm.close()
  const signer = must(await openTpmSigner(bus.tpm, place))
  bus.tamper(otherDigest)
  assert.is(codeOf(await signer.sign(hex('01'))), 'tpm.auth')
  bus.tamper(undefined)
  const before = bus.traffic().length
  for (let n = 0; n < 20; n++) assert.is(codeOf(await signer.sign(hex('01'))), 'tpm.auth')
  assert.is(bus.traffic().length, before)
  must(await openTpmSigner(bus.tpm, place))
})

withBus('a TPM that signs something else is found out by its signature', async ({ tpm }) => {
  must(await makeTpmKey(tpm, place))
  let broken = false
  const other: Tpm = {
    ...tpm,
    run: command => {
      if (!broken || command.name !== 'Sign') return tpm.run(command)
      const parameters = command.parameters!.slice()
      parameters[2]! ^= 1
      return tpm.run({ ...command, parameters })
    },
  }
  const signer = must(await openTpmSigner(other, place))
  broken = true
  assert.is(codeOf(await signer.sign(hex('01'))), 'tpm.bad-signature')
  broken = false
  must(await signer.sign(hex('01')))
})

withBus('a session that the TPM forgot is opened anew, unseen', async ({ sw, tpm }) => {
  must(await makeTpmKey(tpm, place))
  const signer = must(await openTpmSigner(tpm, place))
  await sw.kill()
  await sw.start()
  // The connection broke with the TPM; once it is known to, a signature finds a TPM without its session.
  await new Promise(resolve => setTimeout(resolve, 50))
  for (let n = 0; n < 3; n++) must(await signer.sign(Uint8Array.of(n)))
  await Promise.all([1, 2, 3, 4].map(async n => must(await signer.sign(Uint8Array.of(n)))))
  assert.is(must(await tpm.run(getHandles(LOADED_SESSIONS, 8))).length, 1)
  await signer.end()
  assert.equal(must(await tpm.run(getHandles(LOADED_SESSIONS, 8))), [])
})

withBus('sessions of programs that were killed do not keep a bare TPM from serving the next', async ({ tpm }) => {
  must(await makeTpmKey(tpm, place))
  // More than this TPM has room for, none of them ended.
  for (let n = 0; n < 9; n++) must(await (await openTpmSigner(tpm, place).then(must)).sign(Uint8Array.of(n)))
})

test.run()
