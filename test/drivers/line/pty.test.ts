import { closeSync, constants, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs'
import { openPty, type Pty } from '../../../drivers/line/pty.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('pty')

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, i) => i)
const wait = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

const openSlave = (pty: Pty): number => openSync(pty.path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)

async function readSlave(fd: number, count: number, most = 6_000): Promise<Uint8Array> {
  const got: number[] = []
  const buffer = new Uint8Array(1024)
  for (let tries = 0; got.length < count && tries < most; tries++) {
    try {
      got.push(...buffer.subarray(0, readSync(fd, buffer)))
    } catch {
      await wait(5)
    }
  }
  return Uint8Array.from(got)
}

const descriptors = () => readdirSync('/proc/self/fd').length

test('all 256 byte values pass both ways as they are', async () => {
  const pty = must(await openPty())
  const heard: number[] = []
  pty.onBytes(chunk => heard.push(...chunk))
  const fd = openSlave(pty)
  writeSync(fd, EVERY_BYTE)
  pty.write(EVERY_BYTE)
  assert.equal(await readSlave(fd, 256), EVERY_BYTE)
  for (let tries = 0; heard.length < 256 && tries < 6_000; tries++) await wait(5)
  assert.equal(Uint8Array.from(heard), EVERY_BYTE)
  closeSync(fd)
  await pty.close()
})

test('the gateway may close the device and open it again', async () => {
  const pty = must(await openPty())
  const first = openSlave(pty)
  closeSync(first)
  await wait(20)
  const second = openSlave(pty)
  pty.write(Uint8Array.of(7))
  assert.equal(await readSlave(second, 1), Uint8Array.of(7))
  closeSync(second)
  await pty.close()
})

test('what nobody reads is lost and holds nothing up: a meter may speak for years', async () => {
  const pty = must(await openPty())
  for (let i = 0; i < 1000; i++) {
    pty.write(new Uint8Array(1000).fill(i))
    if (i % 50 === 0) await wait(1)
  }
  const fd = openSlave(pty)
  const { length } = await readSlave(fd, 1_000_000, 200)
  assert.ok(length > 1_000 && length < 300_000, `${length} of 1,000,000 bytes were kept`)
  closeSync(fd)
  await pty.close()
})

test('unplugged, the device is gone and writing and closing are harmless', async () => {
  const pty = must(await openPty())
  /** Another program may have the number soon: its device is a later one. */
  const made = () => statSync(pty.path, { bigint: true, throwIfNoEntry: false })?.ctimeNs
  const before = made()
  assert.ok(before !== undefined)
  const fd = openSlave(pty)
  pty.unplug()
  await pty.close()
  assert.throws(() => writeSync(fd, Uint8Array.of(1)))
  closeSync(fd)
  assert.is.not(made(), before)
  pty.write(Uint8Array.of(1))
  pty.unplug()
  await pty.close()
})

test('24 of them open at once have names of their own, and no descriptor is left over', async () => {
  await must(await openPty()).close()
  const before = descriptors()
  const ptys = await Promise.all(Array.from({ length: 24 }, async () => must(await openPty())))
  assert.is(new Set(ptys.map(pty => pty.path)).size, 24)
  await Promise.all(ptys.map(pty => pty.close()))
  assert.is(descriptors(), before)
})

test.run()
