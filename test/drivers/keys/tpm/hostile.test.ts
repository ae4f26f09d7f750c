/** Whoever stands in a TPM's place and lies, breaks off, floods or says nothing: a fault by name, in time, and then again. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeTpmKey } from '../../../../drivers/keys/tpm/make-key.ts'
import { openTpmSigner } from '../../../../drivers/keys/tpm/signer.ts'
import { openTpm, type Tpm } from '../../../../drivers/keys/tpm/tpm.ts'
import { openPty } from '../../../../drivers/line/pty.ts'
import { concat, hex } from '../../../../protocol/bytes.ts'
import { must, type Result } from '../../../../protocol/result.ts'
import { getRandom, readPublic } from '../../../../protocol/tpm/commands.ts'
import type { TpmCommand } from '../../../../protocol/tpm/frame.ts'
import { u32 } from '../../../../protocol/tpm/marshal.ts'
import { refusalOf } from '../../../../protocol/tpm/response-code.ts'
import { assert, suite } from '../../../harness.ts'
import { assertProperty, fc } from '../../../property.ts'
import { noSwtpm, startSwtpm, time } from './swtpm.ts'

const test = suite('tpm, hostile')

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const RANDOM = hex('8001 00000014 00000000 0008 62a4d4570ae0c52b')
const refusal = (rc: number): Uint8Array => concat(hex('8001 0000000a'), u32(rc))

/** Answers the n-th command, from 0; undefined says nothing. */
type Behaviour = (command: Uint8Array, n: number, socket: Socket) => Uint8Array | readonly Uint8Array[] | undefined

async function withFake(
  behaviour: Behaviour,
  body: (tpm: Tpm, commands: () => number) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-tpm-'))
  const path = join(folder, 'socket')
  const sockets = new Set<Socket>()
  let n = 0
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', chunk => {
      const answer = behaviour(chunk, n++, socket)
      if (answer === undefined) return
      for (const part of answer instanceof Uint8Array ? [answer] : answer) socket.write(part)
    })
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  const tpm = must(openTpm(`unix:${path}`, time))
  try {
    await body(tpm, () => n)
  } finally {
    await tpm.close()
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
    rmSync(folder, { recursive: true })
  }
}

const within = <T>(command: TpmCommand<T>, withinMs: number): TpmCommand<T> => ({ ...command, withinMs })

test('garbage, cut, swollen and late answers are faults, and the answer after them is read right', async () => {
  for (const [what, bad, code] of [
    ['ten zeros', new Uint8Array(10), 'tpm.malformed'],
    ['text', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'tpm.malformed'],
    ['a size of 9', hex('8001 00000009 00000000'), 'tpm.malformed'],
    ['a size of 4 GiB', hex('8001 ffffffff 00000000'), 'tpm.malformed'],
    ['more than it says', concat(RANDOM, Uint8Array.of(0)), 'tpm.malformed'],
    ['less than it says', RANDOM.subarray(0, 15), 'tpm.no-answer'],
    ['half a header', RANDOM.subarray(0, 5), 'tpm.no-answer'],
    ['another tag', concat(hex('8002'), RANDOM.subarray(2)), 'tpm.malformed'],
    ['too few random bytes', hex('8001 0000000e 00000000 0002 62a4'), 'tpm.malformed'],
    ['nothing', new Uint8Array(0), 'tpm.no-answer'],
    ['64 KiB of ones', new Uint8Array(65_536).fill(1), 'tpm.malformed'],
  ] as const) {
    await withFake(
      (_, n) => (n === 0 ? bad : RANDOM),
      async tpm => {
        // Only what is awaited in vain is given up soon.
        const withinMs = code === 'tpm.no-answer' ? 150 : 15_000
        assert.is(codeOf(await tpm.run(within(getRandom(8), withinMs))), code, what)
        assert.is(codeOf(await tpm.run(getRandom(8))), 'ok', `after ${what}`)
      },
    )
  }
})

test('an answer in pieces is put together', async () => {
  await withFake(
    (_, _n, socket) => {
      const bytes = [...RANDOM]
      const next = () => {
        const byte = bytes.shift()
        if (byte !== undefined) socket.write(Uint8Array.of(byte), next)
      }
      next()
      return undefined
    },
    async tpm => assert.equal(must(await tpm.run(getRandom(8))), hex('62a4d4570ae0c52b')),
  )
})

test('an answer that comes unasked is not taken for the next', async () => {
  const other = hex('8001 00000014 00000000 0008 ffffffffffffffff')
  let sent: () => void = () => {}
  const came = new Promise<void>(resolve => {
    sent = resolve
  })
  await withFake(
    (_, n, socket) => {
      if (n === 0) setTimeout(() => socket.write(other, () => sent()), 20)
      return RANDOM
    },
    async tpm => {
      must(await tpm.run(getRandom(8)))
      await came
      // It is there to be read, and each turn reads what is there.
      for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve))
      assert.equal(must(await tpm.run(getRandom(8))), hex('62a4d4570ae0c52b'))
    },
  )
})

test('a connection that is closed in the middle is a fault, and opened anew for the next command', async () => {
  await withFake(
    (_, n, socket) => {
      if (n > 0) return RANDOM
      socket.end(RANDOM.subarray(0, 12))
      return undefined
    },
    async tpm => {
      assert.is(codeOf(await tpm.run(getRandom(8))), 'tpm.gone')
      assert.is(codeOf(await tpm.run(getRandom(8))), 'ok')
    },
  )
})

test('each refusal that there can be comes through by name, and only a busy TPM is asked again', async () => {
  // Every twelve-bit code but success; the ones of a busy TPM are tried below.
  const rcs = Array.from({ length: 0xfff }, (_, i) => i + 1)
  const busy = new Set([0x908, 0x90a, 0x920, 0x922, 0x923])
  let rc = 0
  await withFake(
    command => (command[9] === 0x44 ? refusal(0x101) : refusal(rc)),
    async (tpm, commands) => {
      for (rc of rcs.filter(each => !busy.has(each))) {
        const before = commands()
        const answer = await tpm.run(getRandom(8))
        // A TPM that was not started is started, which this one refuses as a broken one does.
        const expected = rc === 0x100 ? 'tpm.broken' : refusalOf('GetRandom', rc).code
        assert.is(codeOf(answer), expected, `0x${rc.toString(16)}`)
        assert.is(commands() - before, rc === 0x100 ? 2 : 1)
      }
    },
  )
})

test('a busy TPM is asked again until it answers, or its time is up', async () => {
  for (const rc of [0x908, 0x90a, 0x920, 0x922, 0x923]) {
    await withFake(
      (_, n) => (n < 3 ? refusal(rc) : RANDOM),
      async (tpm, commands) => {
        must(await tpm.run(getRandom(8)))
        assert.is(commands(), 4)
      },
    )
  }
  await withFake(
    () => refusal(0x922),
    async (tpm, commands) => {
      const began = performance.now()
      const answer = await tpm.run(within(getRandom(8), 2_000))
      assert.is(codeOf(answer), 'tpm.busy')
      assert.ok(performance.now() - began < 10_000, 'given up, if late on a busy machine')
      // After 10, 20, 40, 80, 160, 320, 500 and 500 ms; a ninth wait would pass the 2,000 ms.
      assert.ok(commands() >= 2 && commands() <= 9, `${commands()}`)
      if (!answer.ok) assert.is(answer.fault['tries'], commands())
    },
  )
})

test('a TPM that says forever that it was not started is started once', async () => {
  await withFake(
    command => (command[9] === 0x44 ? refusal(0) : refusal(0x100)),
    async (tpm, commands) => {
      assert.is(codeOf(await tpm.run(getRandom(8))), 'tpm.not-started')
      assert.is(commands(), 3)
    },
  )
})

test('1,000 answers of any bytes: each in its time, each a fault or well formed', async () => {
  const framed = fc
    .tuple(fc.constantFrom('8001', '8002', '00c4'), fc.uint8Array({ maxLength: 80 }))
    .map(([tag, body]) => concat(hex(tag), u32(body.length + 10), u32(0), body))
  const answers: Uint8Array[] = []
  assertProperty(
    fc.property(framed, bytes => void answers.push(bytes)),
    1_000,
  )
  await withFake(
    (_, n) => answers[n],
    async tpm => {
      for (const _ of answers) {
        const answer = await tpm.run(readPublic(0x8102_0001))
        if (!answer.ok) assert.is(codeOf(answer), 'tpm.malformed')
      }
    },
  )
})

/** A pseudo-terminal stands for /dev/tpmrm0: opened by its path, one write a command, a read that waits for the answer. */
test.skipIf(noSwtpm, 'a device is written to and read from, given up when it hangs, and used again', async () => {
  const sw = await startSwtpm()
  const pty = must(await openPty())
  const tpm = must(openTpm(pty.path, time))
  let answer: (command: Uint8Array) => Promise<Uint8Array | undefined> = async () => undefined
  pty.onBytes(command => void answer(command).then(bytes => bytes && pty.write(bytes)))
  try {
    // As the kernel does for a device: started, before anybody opens it.
    must(await sw.tpm.run(getRandom(8)))
    await sw.tpm.close()
    const socket = connect(sw.where.slice('unix:'.length))
    answer = async command => {
      socket.write(command)
      const [bytes] = (await once(socket, 'data')) as [Uint8Array]
      return bytes
    }
    const place = { handle: 0x8102_0001, auth: new Uint8Array(16).fill(1) }
    const publicKey = must(await makeTpmKey(tpm, place))
    const signer = must(await openTpmSigner(tpm, place, publicKey))
    must(await signer.sign(hex('0102')))
    socket.destroy()
    answer = async () => RANDOM
    assert.equal(must(await tpm.run(getRandom(8))), hex('62a4d4570ae0c52b'))
    answer = async () => refusal(0x100)
    assert.is(codeOf(await tpm.run(getRandom(8))), 'tpm.not-started')
    answer = async () => hex('8001 ffffffff 00000000')
    assert.is(codeOf(await tpm.run(getRandom(8))), 'tpm.malformed')
    let late: (bytes: Uint8Array) => void = () => {}
    answer = () =>
      new Promise(resolve => {
        late = resolve
      })
    assert.is(codeOf(await tpm.run(within(getRandom(8), 100))), 'tpm.no-answer')
    // The kernel still waits for the first answer: a second command would only queue up behind it.
    assert.is(codeOf(await tpm.run(within(getRandom(8), 100))), 'tpm.no-answer')
    late(hex('8001 00000014 00000000 0008 ffffffffffffffff'))
    answer = async () => RANDOM
    let next = await tpm.run(getRandom(8))
    // Until the late one has come.
    while (codeOf(next) === 'tpm.no-answer') {
      await new Promise(resolve => setTimeout(resolve, 10))
      next = await tpm.run(getRandom(8))
    }
    assert.equal(must(next), hex('62a4d4570ae0c52b'))
  } finally {
    await tpm.close()
    await pty.close()
    await sw.end()
  }
})

test.run()
