/**
 * firmata-io over a `Line` that is opened again whenever it goes down. The package's promises are not relied on: its
 * questions have no deadline, one answer answers everybody who asked, an endless message stays in memory, some messages make
 * it throw, and it takes a board that starts anew for one that answers.
 *
 * A version report that nobody asked for is a board that was reset: StandardFirmata gives no other sign.
 */
import { EventEmitter } from 'node:events'
import bind, { type Firmata } from 'firmata-io'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { type KeptLine, keepOpen } from '../line/keep-open.ts'
import type { Line, Log, Timers } from '../ports.ts'
import type { Level } from './gpio-bank.ts'
import { RELAY_COMMAND } from './relay-firmware.ts'

/** For an answer of a board that runs: those tried take 10 ms. Past it the line is opened anew. */
const ANSWER_MS = 1_000
/** An Uno that is reset by the opening of its port says its first word after 2 to 4 s: boot loader, then blinking. */
const FIRST_WORD_MS = 6_000
/** A boot loader swallows what it is asked. */
const ASK_AGAIN_MS = 500
/** Before the next opening, which may reset the board. */
const RETRY_MS = 1_000
/** What is kept of a message without an end: StandardFirmata's longest, its capabilities, takes about 200 bytes. */
const LONGEST_MESSAGE = 512
/** Firmata's numbers of pins have seven bits. */
const PINS = 128

/** Firmata 2.5 */
const PIN_STATE_QUERY = 0x6d
const REPORT_FIRMWARE = 0x79
const REPORT_VERSION = 0xf9

/** The package has one table of handlers for all its boards: each board is told what it heard itself. */
const RELAY_EVENT = 'tieline-relay'
bind.Firmata.prototype.sysexResponse(RELAY_COMMAND, function (this: Firmata, data) {
  this.emit(RELAY_EVENT, data)
})

export interface FirmataLinkOptions {
  readonly line: Line
  readonly timers: Timers
  readonly log: Log
  /** A pin that may be asked about at any time. */
  readonly pin: number
  /** Opens every contact and makes the board ready: after each opening of the line and each reset of the board. */
  readonly prepare: (firmware: string) => Promise<Result<void>>
  /** Sends what johnny-five writes, in place of the package, which writes eight pins at once. */
  readonly write?: (pin: number, level: Level) => void
  readonly onRelayMessage?: (data: readonly number[]) => void
}

export interface FirmataLink {
  readonly io: Firmata
  /** undefined while the board is ready, else why it is not. */
  fault(): Fault | undefined
  /** Resolves when the first attempt to make the board ready has ended, either way; it is tried again until `close`. */
  open(): Promise<void>
  /** The board is not as it was left: it is prepared anew. */
  prepareAgain(why: Fault): void
  /** Waits for what a board has to answer; when it does not come in time, the line is opened anew. */
  answer<T>(asked: string, heard: Promise<T>): Promise<Result<T>>
  pinState(pin: number): Promise<Result<{ readonly mode: number; readonly state: number }>>
  /** The level on an input now. */
  level(pin: number): Promise<Result<Level>>
  close(): Promise<void>
}

export function createFirmataLink(options: FirmataLinkOptions): FirmataLink {
  const { line, timers, log, prepare, write } = options
  const transport = Object.assign(new EventEmitter(), {
    write(bytes: Uint8Array, written: () => void) {
      written()
      if (kept.fault() !== undefined) return
      const mine = attempt
      void line.write(bytes).then(result => {
        if (!result.ok && mine === attempt) kept.restart(result.fault)
      })
    },
  })
  const io = new bind.Firmata(transport, { skipCapabilities: true })
  // Its own first questions would come by the machine's clock, whether or not the line is open.
  clearTimeout(io.reportVersionTimeoutId)
  // Under another name than its own, johnny-five takes a pin's number as it stands.
  io.name = 'Tieline Firmata'
  io.isReady = true
  io.pins = Array.from({ length: PINS }, () => ({ supportedModes: [0, 1, 11], mode: undefined, value: 0 }))
  if (write !== undefined) io.digitalWrite = (pin, value) => write(pin, value === 0 ? 0 : 1)
  if (options.onRelayMessage !== undefined) io.on(RELAY_EVENT, options.onRelayMessage)

  let fault: Fault | undefined = { code: 'firmata.not-ready', line: line.name }
  /** Counts attempts, so that one that was overtaken changes nothing. */
  let attempt = 0
  /** While a board is greeted, version reports are answers. */
  let greeting = false
  let endFirst: () => void = () => {}
  /** Who waits for an event, the longest first: an answer is for one of them. */
  const queues = new Map<string, ((value: unknown) => void)[]>()
  /** Ends the waits of an attempt that is over. */
  const giveUp = new Set<(why: Fault) => void>()
  let asking: Promise<unknown> = Promise.resolve()

  io.on('reportversion', () => {
    if (!greeting) prepareAgain({ code: 'firmata.board-reset', line: line.name })
  })

  const kept: KeptLine = keepOpen(line, timers, {
    bytes(chunk) {
      if (io.buffer.length > LONGEST_MESSAGE) io.buffer.length = 0
      try {
        transport.emit('data', chunk)
      } catch (error) {
        io.buffer.length = 0
        const said = error instanceof Error ? error.message : String(error)
        log('warn', 'relays', `${line.name} sent what cannot be read`, { code: 'firmata.message', said })
      }
    },
    up: () => void greet(true),
    down: lose,
  })

  function lose(why: Fault): void {
    attempt++
    greeting = false
    fault = why
    io.buffer.length = 0
    // Else the next write to one pin would send along what its neighbours were before.
    io.ports.fill(0)
    for (const queue of queues.values()) queue.length = 0
    for (const end of [...giveUp]) end(why)
    endFirst()
  }

  function prepareAgain(why: Fault): void {
    log('warn', 'relays', `${line.name} is prepared anew`, why)
    lose(why)
    void greet(false)
  }

  /** Brings a board to readiness; `first` where it need not have spoken by itself. */
  async function greet(first: boolean): Promise<void> {
    const mine = ++attempt
    greeting = true
    const reached = await reach(first)
    if (mine !== attempt) return
    greeting = false
    const ready = reached.ok ? await prepare(reached.value) : reached
    if (mine !== attempt) return
    if (ready.ok) {
      fault = undefined
      log('info', 'relays', `${line.name} is ready`)
    } else {
      if (fault?.code !== ready.fault.code) log('warn', 'relays', `${line.name} is not ready`, ready.fault)
      fault = ready.fault
      timers.after(RETRY_MS, () => {
        if (mine === attempt) kept.restart(ready.fault)
      })
    }
    endFirst()
  }

  /** The firmware's name. What was asked before the last question is answered, or lost, when that one is answered. */
  async function reach(first: boolean): Promise<Result<string>> {
    if (first) {
      const ask = () => transport.write(Uint8Array.of(REPORT_VERSION), () => {})
      const heard = within(FIRST_WORD_MS, 'version', next('reportversion'))
      const stop = timers.every(ASK_AGAIN_MS, ask)
      ask()
      const version = await heard
      stop()
      if (!version.ok) return version
    }
    const named = within(ANSWER_MS, 'firmware', next('queryfirmware'))
    io.sysexCommand([REPORT_FIRMWARE])
    const firmware = await named
    if (!firmware.ok) return firmware
    const last = await within(ANSWER_MS, 'pin state', askPinState(options.pin))
    return last.ok ? ok(io.firmware.name ?? '') : last
  }

  /** The next such event that no earlier caller waits for. */
  function next<T>(event: string): Promise<T> {
    const queue = queues.get(event) ?? []
    if (!queues.has(event)) {
      queues.set(event, queue)
      io.on(event, value => queue.shift()?.(value))
    }
    return new Promise<T>(resolve => queue.push(value => resolve(value as T)))
  }

  function within<T>(ms: number, asked: string, heard: Promise<T>): Promise<Result<T>> {
    return new Promise(resolve => {
      const settle = (result: Result<T>) => {
        cancel()
        giveUp.delete(end)
        resolve(result)
      }
      const end = (why: Fault) => settle(fail(why))
      const cancel = timers.after(ms, () => end({ code: 'firmata.no-answer', line: line.name, asked, afterMs: ms }))
      giveUp.add(end)
      void heard.then(value => settle(ok(value)))
    })
  }

  async function answer<T>(asked: string, heard: Promise<T>): Promise<Result<T>> {
    const mine = attempt
    const answered = await within(ANSWER_MS, asked, heard)
    // Whatever it still says could be taken for the answer to a later question.
    if (!answered.ok && mine === attempt) kept.restart(answered.fault)
    return answered
  }

  function askPinState(pin: number): Promise<{ readonly mode: number; readonly state: number }> {
    const heard = next(`pin-state-${pin}`).then(() => ({
      mode: io.pins[pin]!.mode ?? -1,
      state: io.pins[pin]!.state ?? -1,
    }))
    io.sysexCommand([PIN_STATE_QUERY, pin])
    return heard
  }

  /** A report is switched on, which sends one at once, and off again: none comes unasked. One question at a time, for it is of eight pins. */
  function level(pin: number): Promise<Result<Level>> {
    const asked = asking.then(() => {
      const heard = next<Level>(`digital-read-${pin}`)
      io.reportDigitalPin(pin, 1)
      io.reportDigitalPin(pin, 0)
      return answer('level', heard)
    })
    asking = asked
    return asked
  }

  return {
    io,
    fault: () => fault,
    async open() {
      const ended = new Promise<void>(resolve => {
        endFirst = resolve
      })
      const opened = await kept.open()
      if (opened.ok) return ended
      fault = opened.fault
      log('warn', 'relays', `${line.name} is not ready`, opened.fault)
    },
    prepareAgain,
    answer,
    pinState: pin => answer('pin state', askPinState(pin)),
    level,
    async close() {
      await kept.close()
      lose({ code: 'firmata.closed', line: line.name })
    },
  }
}
