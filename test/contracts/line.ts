/** What every Line must do, on a real serial device (a pseudo-terminal), a TCP connection and the one in memory. */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Line } from '../../drivers/ports.ts'
import type { Fault } from '../../protocol/result.ts'
import { assert, type Suite } from '../harness.ts'

export interface LineUnderTest {
  readonly line: Line
  /** The device's end. Where a connection makes one (TCP), it is that of the connection opened last. */
  device(): DeviceEnd
  /** Lets this many milliseconds pass. */
  pass(ms: number): Promise<void>
  /** Takes everything down that the test left open. */
  end(): Promise<void>
}

const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, i) => i)
/** Longer than 256 characters at 9,600 baud take. */
const A_WHILE_MS = 400

export function lineCases(t: Suite, name: string, make: () => Promise<LineUnderTest>): void {
  const test = (title: string, body: (under: LineUnderTest, ear: ReturnType<typeof listen>) => Promise<void>) =>
    t(
      `${name}: ${title}`,
      async () => {
        const under = await make()
        try {
          await body(under, listen())
        } finally {
          await under.line.close()
          await under.end()
        }
      },
      60_000,
    )

  /** Runs something while time passes, because in simulated time nothing ends by itself. */
  const meanwhile = async <T>(under: LineUnderTest, running: Promise<T>): Promise<T> => {
    await under.pass(A_WHILE_MS)
    return running
  }
  /** Lets time pass until something is so: on a real device under a busy machine that may take long. */
  const until = async (under: LineUnderTest, holds: () => boolean): Promise<void> => {
    for (let n = 0; n === 0 || (n < 400 && !holds()); n++) await under.pass(A_WHILE_MS)
  }
  const open = async (under: LineUnderTest, ear: ReturnType<typeof listen>) => {
    assert.is((await meanwhile(under, under.line.open(ear))).ok, true)
  }

  test('every byte value passes both ways, whole and in order', async (under, ear) => {
    await open(under, ear)
    const sent: number[] = []
    under.device().onBytes(chunk => sent.push(...chunk))
    assert.is((await meanwhile(under, under.line.write(EVERY_BYTE))).ok, true)
    under.device().write(EVERY_BYTE)
    await until(under, () => sent.length >= EVERY_BYTE.length && ear.heard.length >= EVERY_BYTE.length)
    assert.equal(Uint8Array.from(sent), EVERY_BYTE)
    assert.equal(Uint8Array.from(ear.heard), EVERY_BYTE)
    assert.is(ear.downs.length, 0)
  })

  test('an unplug is told once, and only then; what is written afterwards is refused', async (under, ear) => {
    await open(under, ear)
    under.device().unplug()
    assert.is(ear.downs.length, 0, 'told inside the call that unplugged')
    await until(under, () => ear.downs.length > 0)
    assert.is(ear.downs.length, 1)
    assert.is((await meanwhile(under, under.line.write(Uint8Array.of(1)))).ok, false)
    assert.is((await meanwhile(under, under.line.flush())).ok, false)
    under.device().write(EVERY_BYTE)
    under.device().unplug()
    await under.line.close()
    await under.pass(A_WHILE_MS)
    assert.is(ear.downs.length, 1)
    assert.is(ear.heard.length, 0)
  })

  test('a line that is not open writes nothing and may be closed at any time', async (under, ear) => {
    await under.line.close()
    assert.is((await meanwhile(under, under.line.write(Uint8Array.of(1)))).ok, false)
    assert.is((await meanwhile(under, under.line.flush())).ok, false)
    await open(under, ear)
    await Promise.all([under.line.close(), under.line.close()])
    await under.line.close()
    assert.is((await meanwhile(under, under.line.write(Uint8Array.of(1)))).ok, false)
    await under.pass(A_WHILE_MS)
    assert.is(ear.downs.length, 0, 'closing it ourselves is no unplug')
  })

  test('closed, it says nothing more, and it opens again', async (under, ear) => {
    await open(under, ear)
    const before = under.device()
    await under.line.close()
    before.write(EVERY_BYTE)
    await under.pass(A_WHILE_MS)
    assert.is(ear.heard.length, 0)
    const second = listen()
    await open(under, second)
    under.device().write(Uint8Array.of(7))
    await until(under, () => second.heard.length > 0)
    assert.is(second.heard.at(-1), 7)
    assert.is(ear.heard.length, 0)
  })

  test('an open line is not opened a second time', async (under, ear) => {
    await open(under, ear)
    assert.is((await meanwhile(under, under.line.open(listen()))).ok, false)
    under.device().write(Uint8Array.of(9))
    await until(under, () => ear.heard.length > 0)
    assert.equal(ear.heard, [9])
  })
}

function listen() {
  const heard: number[] = []
  const downs: Fault[] = []
  return {
    heard,
    downs,
    bytes: (chunk: Uint8Array) => void heard.push(...chunk),
    down: (fault: Fault) => void downs.push(fault),
  }
}
