/**
 * Our driver through serialport and a pseudo-terminal to a board that keeps a clock of its own: the processor's, which stands
 * still when this process does. Killed by SIGKILL, and with its cable out, it leaves the contact to the board.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createSystemTime } from '../../../drivers/clock.ts'
import type { DeviceEnd } from '../../../drivers/line/device-end.ts'
import { openPty, type Pty } from '../../../drivers/line/pty.ts'
import { makeLink, removeLink } from '../../../drivers/store/folder.ts'
import { AVR_HZ, type AvrBoard, createAvrBoard } from '../../../hw/sim/avr-board.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { OUR_HEX, type PinEvent } from './firmata-bench.ts'
import { CONTACT, DEAD_MAN_MS, openOn } from './firmata-holder.ts'

const test = suite('relays/firmata on a serial device')

const HOLDER = fileURLToPath(new URL('./firmata-holder.ts', import.meta.url))
const CYCLES_MS = AVR_HZ / 1000
/** The board's clock passes no faster than this between two looks at its wire, however late this process is. */
const STEP_MS = 4
const { clock, timers } = createSystemTime()

interface SerialBoard {
  readonly path: string
  readonly board: AvrBoard
  readonly events: PinEvent[]
  /** Pulls the cable out; the board goes on. */
  unplug(): void
  plug(): Promise<void>
  end(): Promise<void>
}

async function serialBoard(): Promise<SerialBoard> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-firmata-'))
  const path = join(folder, 'uno')
  const events: PinEvent[] = []
  let pty: Pty | undefined
  let hear: (chunk: Uint8Array) => void = () => {}
  const end: DeviceEnd = {
    write: bytes => pty?.write(bytes),
    onBytes: listener => {
      hear = listener
    },
    unplug: () => {},
    close: async () => {},
  }
  const board = must(
    createAvrBoard({ hex: OUR_HEX, end, onPin: (pin, drive, cycle) => void events.push({ pin, drive, cycle }) }),
  )
  let last = clock.fine()
  const stop = timers.every(2, () => {
    const now = clock.fine()
    board.run(Math.floor(Math.min(now - last, STEP_MS) * CYCLES_MS))
    last = now
  })
  const unplug = () => {
    removeLink(path)
    pty?.unplug()
    pty = undefined
  }
  const plug = async () => {
    pty = must(await openPty())
    pty.onBytes(chunk => hear(chunk))
    must(makeLink(pty.path, path))
  }
  await plug()
  return {
    path,
    board,
    events,
    unplug,
    plug,
    async end() {
      stop()
      unplug()
      rmSync(folder, { recursive: true })
    },
  }
}

const isClosed = ({ board }: SerialBoard): boolean => board.pin(CONTACT.pin) === 'high'

async function until(what: string, holds: () => boolean): Promise<void> {
  const last = clock.mono() + 120_000
  while (!holds()) {
    if (clock.mono() > last) throw new Error(`never: ${what}`)
    await timers.sleep(5)
  }
}

test('a contact whose driving process is killed opens within what its relay declared, by the processor', async () => {
  const serial = await serialBoard()
  const child = spawn(process.execPath, ['--import', 'tsx', HOLDER, serial.path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    await until('renewed', () => said.split('closed').length > 5 && isClosed(serial))
    const withinMs = Number(/within (\d+)/.exec(said)?.[1])
    assert.ok(withinMs >= DEAD_MAN_MS && withinMs < DEAD_MAN_MS * 1.05)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await until('open', () => !isClosed(serial))
    const opened = serial.events.findLast(({ pin }) => pin === CONTACT.pin)!
    const afterMs = (opened.cycle - serial.board.heardAt()) / CYCLES_MS
    assert.ok(afterMs <= withinMs && afterMs > DEAD_MAN_MS / 2, `${afterMs} ms`)
    // The next one arms the board that tripped.
    const [relay] = must(await openOn(serial.path))
    must(await relay!.command('closed'))
    assert.ok(isClosed(serial))
    await relay!.close()
    assert.not(isClosed(serial))
  } finally {
    child.kill('SIGKILL')
    await serial.end()
  }
}, 180_000)

test('with its cable out a contact opens by itself, and works when it is back', async () => {
  const serial = await serialBoard()
  try {
    const [relay] = must(await openOn(serial.path))
    must(await relay!.command('closed'))
    assert.equal(await relay!.observe(), { seen: 'closed' })
    serial.unplug()
    await until('told', () => !isClosed(serial))
    assert.not((await relay!.command('closed')).ok)
    assert.is((await relay!.observe()).seen, 'unknown')
    await serial.plug()
    let answer = await relay!.command('closed')
    const last = clock.mono() + 120_000
    while (!answer.ok && clock.mono() < last) {
      assert.not(isClosed(serial))
      await timers.sleep(50)
      answer = await relay!.command('closed')
    }
    must(answer)
    assert.ok(isClosed(serial))
    await relay!.close()
    assert.not(isClosed(serial))
  } finally {
    await serial.end()
  }
}, 180_000)

test.run()
