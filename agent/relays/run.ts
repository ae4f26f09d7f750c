/**
 * Carries out what `decide` returns, ten times a second: commands contacts, refreshes closed ones before their dead-man
 * timer runs out, looks where they are, and puts closings on record first. An opening waits for nothing.
 */
import { afterListening } from '../../drivers/listening.ts'
import type { Clock, Log, MeterReading, Relay, Timers } from '../../drivers/ports.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Limits, LineFacts, Position, Role, Seen } from '../../protocol/safety/facts.ts'
import { type LineReading, lineReading } from '../../protocol/safety/line-reading.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { type ControlEvent, type ControlInput, decide, spokenPosition } from './decide.ts'
import { createRest } from './rest.ts'
import {
  type ContactId,
  contactsOf,
  type EndConfig,
  lineContact,
  openState,
  ownContact,
  upstreamContact,
  type Weld,
  type Wish,
  weldCleared,
  wished,
} from './state.ts'

/** The control loop's period: half of the 200 ms in which a crossed limit has to become an opening command. */
const LOOP_MS = 100
/** A settled contact is looked at this often: three looks within the time after which it counts as unseen. */
const LOOK_MS = 300
/** An opening that is not seen yet is commanded again this often. */
const REOPEN_MS = 300
/** A closed contact without a dead-man timer is still commanded again, in case its board was reset. */
const UNSUPERVISED_REFRESH_MS = 1000
/** A recorded intent to close that is not used within this is taken again. */
const INTENT_MS = 5000
/** Pause after a closing that could not be put on record. */
const INTENT_RETRY_MS = 1000

export interface RelayEnd {
  readonly line: string
  readonly side: 'seller' | 'buyer'
  readonly limits: Limits
  readonly contacts: { readonly line: Relay; readonly upstream?: Relay; readonly own?: Relay }
  /** Buyer: the separable circuit. Ends that name the same one are interlocked and share its `own` relay. */
  readonly circuit?: string
}

export interface RelayControlOptions {
  readonly ends: readonly RelayEnd[]
  /** What trading and the light client know of a line now. Called in the loop: it must not wait. */
  readonly facts: (line: string) => LineFacts
  /** The line meter's latest reading. */
  readonly meterOf: (line: string) => MeterReading | undefined
  readonly watchdogFed: () => Mono | undefined
  /**
   * With every contact where it should be, no wish and no deal, the loop stands still and looks round this often;
   * contacts are refreshed all the same. Absent: it never stands still.
   */
  readonly restMs?: number
  /** Makes the intent to close a contact durable. */
  readonly intend: (contact: ContactId) => Promise<Result<void>>
  /** Welds as they were kept, and how to keep them: all of them, durable on success. */
  readonly welds: readonly Weld[]
  readonly keepWelds: (welds: readonly Weld[]) => Promise<Result<void>>
  readonly onEvent: (event: ControlEvent) => void
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

export interface ContactView {
  readonly contact: ContactId
  readonly role: Role
  readonly commanded: Position
  readonly seen: Seen
  readonly since: Mono
  readonly unsupervised: boolean
}

export interface EndView {
  readonly side: 'seller' | 'buyer'
  readonly wish: Wish
  /** What this end's heartbeat says of its line contact. */
  readonly position: Seen
  readonly contacts: readonly ContactView[]
  /** What keeps the next contact from closing, or what opened the last. */
  readonly because: readonly Fault[]
  /** Latched on this end or its circuit. */
  readonly welds: readonly Weld[]
}

export interface RelayControl {
  /** Asks for a line to be started or stopped, once: a trip or a start that is given up ends the wish. */
  wish(line: string, wish: Wish): void
  /** Opens this end now, without waiting for the seller to break the current. */
  openNow(line: string, because: Fault): void
  /** Hands the contacts over to a person: everything opens and stays open. */
  setManual(on: boolean): void
  /** A person has seen to the contact. A fault when that could not be kept; it stays latched then. */
  clearWeld(contact: ContactId): Promise<Result<void>>
  view(line: string): EndView | undefined
  /** Opens everything and ends the loop; resolves when every relay has answered, or has had its time. */
  stop(): Promise<void>
}

export function createRelayControl(options: RelayControlOptions): RelayControl {
  const { clock, timers, log } = options
  const ends = options.ends.map(endConfig)
  const drives = drivesOf(options, () => step())
  const intents = new Map<ContactId, 'asked' | { readonly at: Mono }>()
  const readings = new Map<string, { readonly from: MeterReading; readonly reading: LineReading }>()
  let state = openState(ends, clock.mono(), options.welds)
  let manual = false
  let stopped = false
  let stepping = false
  let again = false

  function readingOf({ line, limits }: EndConfig): LineReading | undefined {
    const from = options.meterOf(line)
    if (from === undefined) return undefined
    const known = readings.get(line)
    if (known?.from === from) return known.reading
    const reading = lineReading(from.values, from.takenMono, limits.phases)
    readings.set(line, { from, reading })
    return reading
  }

  function inputNow(): ControlInput {
    const mono = clock.mono()
    const recorded = [...intents].flatMap(([contact, intent]) =>
      intent !== 'asked' && mono - intent.at <= INTENT_MS ? [contact] : [],
    )
    return {
      now: clock.now(),
      mono,
      manual,
      watchdogFed: options.watchdogFed(),
      lines: new Map(ends.map(end => [end.line, { ...options.facts(end.line), reading: readingOf(end) }])),
      seen: new Map(
        [...drives].flatMap(([contact, drive]) => (drive.look === undefined ? [] : [[contact, drive.look]])),
      ),
      intended: new Set(recorded),
    }
  }

  /** Whoever hears of an event may wish something at once: that step follows this one. */
  function step(): void {
    again = true
    if (stepping) return
    stepping = true
    while (again && !stopped) {
      again = false
      stepOnce()
    }
    stepping = false
  }

  function stepOnce(): void {
    const result = decide(ends, state, inputNow())
    state = result.state
    for (const action of result.actions) {
      if (action.kind === 'intend') askIntent(action.contact)
      else {
        intents.delete(action.contact)
        drives.get(action.contact)!.send(action.to)
      }
    }
    for (const event of result.events) {
      if (event.kind === 'weld') keepWelds()
      tell(event)
      options.onEvent(event)
    }
    for (const [contact, drive] of drives) drive.tend(state.contacts.get(contact)!.arrived)
  }

  function askIntent(contact: ContactId): void {
    const known = intents.get(contact)
    if (known === 'asked' || (known !== undefined && clock.mono() - known.at <= INTENT_MS)) return
    intents.set(contact, 'asked')
    void options.intend(contact).then(result => {
      if (result.ok) {
        intents.set(contact, { at: clock.mono() })
        step()
        return
      }
      log('error', 'relays', `${contact} stays open: its closing could not be put on record`, result.fault)
      timers.after(INTENT_RETRY_MS, () => intents.delete(contact))
    })
  }

  function keepWelds(): void {
    void options.keepWelds([...state.welds.values()]).then(result => {
      if (!result.ok) log('error', 'relays', 'a weld is latched in memory only', result.fault)
    })
  }

  function tell(event: ControlEvent): void {
    if (event.kind === 'weld') log('error', 'relays', `${event.weld.contact} is welded`, event.weld.sign)
    else if (event.kind === 'tripped') log('warn', 'relays', `${event.contact} opened`, event.because[0])
    else if (event.kind === 'gave-up') log('warn', 'relays', `${event.line} was not started`, event.because[0])
    else log('debug', 'relays', `${event.contact} is seen ${event.kind}`)
  }

  /** Nothing to do, and nothing that could call for it but what a look round shows. */
  const quiet = (): boolean =>
    ends.every(({ line, circuit }) => {
      if (state.ends.get(line)!.wish === 'energise' || options.facts(line).deal !== undefined) return false
      return !circuit?.own || state.contacts.get(ownContact(circuit.name))!.commanded === 'closed'
    }) &&
    [...state.contacts].every(([contact, { arrived, commanded }]) => {
      return arrived && drives.get(contact)!.look?.seen === commanded
    })

  const rest = createRest(clock, options.restMs, quiet)

  function loop(): void {
    const next = rest.next()
    if (next === 'step') return step()
    for (const drive of drives.values()) next === 'look' ? drive.tend(true) : drive.refresh()
  }

  const cancel = timers.every(LOOP_MS, loop)
  for (const drive of drives.values()) drive.send('open')

  return {
    wish(line, wish) {
      state = wished(state, line, wish, clock.mono())
      // An opening never waits; a start out of a rest waits for the look round that it causes.
      if (wish === 'de-energise' || rest.awake()) step()
    },
    openNow(line, because) {
      log('warn', 'relays', `${line} opens at once`, because)
      state = wished(state, line, 'de-energise', clock.mono(), true)
      step()
    },
    setManual(on) {
      manual = on
      step()
    },
    async clearWeld(contact) {
      const cleared = weldCleared(state, contact)
      const kept = await options.keepWelds([...cleared.welds.values()])
      if (kept.ok) state = weldCleared(state, contact)
      return kept
    },
    view(line) {
      const end = ends.find(candidate => candidate.line === line)
      if (end === undefined) return undefined
      const { wish, because } = state.ends.get(line)!
      const group = ends.filter(other => other === end || (end.circuit && other.circuit?.name === end.circuit.name))
      const mine = group.flatMap(contactsOf).map(({ contact }) => contact)
      return {
        side: end.side,
        wish,
        position: spokenPosition(end, state, inputNow()),
        contacts: contactsOf(end).map(({ contact, role }) => {
          const { commanded, since } = state.contacts.get(contact)!
          const drive = drives.get(contact)!
          const seen = drive.look !== undefined && drive.look.at >= since ? drive.look.seen : 'unknown'
          return { contact, role, commanded, since, seen, unsupervised: drive.unsupervised }
        }),
        because,
        welds: [...state.welds.values()].filter(weld => mine.includes(weld.contact)),
      }
    },
    async stop() {
      stopped = true
      cancel()
      await Promise.all([...drives.values()].map(drive => drive.send('open')))
    },
  }
}

const endConfig = ({ line, side, limits, contacts, circuit }: RelayEnd): EndConfig => ({
  line,
  side,
  limits,
  upstream: contacts.upstream !== undefined,
  circuit: circuit === undefined ? undefined : { name: circuit, own: contacts.own !== undefined },
})

/** One relay under control: its last command, and the last look at it. */
interface Drive {
  readonly unsupervised: boolean
  look: { readonly seen: Seen; readonly at: Mono } | undefined
  /** Resolves when the relay has answered or has had its time. */
  send(position: Position): Promise<void>
  /** Repeats the command as is due. */
  refresh(): void
  /** The same, and looks as is due. */
  tend(settled: boolean): void
}

function drivesOf(options: RelayControlOptions, onTrouble: () => void): ReadonlyMap<ContactId, Drive> {
  const drives = new Map<ContactId, Drive>()
  const relays = new Map<ContactId, Relay>()
  for (const { line, contacts, circuit, limits } of options.ends) {
    const own = circuit === undefined ? [] : ([[ownContact(circuit), contacts.own]] as const)
    const wired = [[lineContact(line), contacts.line], [upstreamContact(line), contacts.upstream], ...own] as const
    for (const [contact, relay] of wired) {
      if (relay === undefined || relays.get(contact) === relay) continue
      if (relays.has(contact)) throw new Error(`${contact} is two different relays`)
      relays.set(contact, relay)
      drives.set(contact, createDrive(contact, relay, limits.readBackMs, options, onTrouble))
    }
  }
  return drives
}

function createDrive(
  contact: ContactId,
  relay: Relay,
  deadlineMs: number,
  { clock, timers, log }: Pick<RelayControlOptions, 'clock' | 'timers' | 'log'>,
  onTrouble: () => void,
): Drive {
  const death = relay.onAgentDeath
  // A third: one late round of the loop still comes before half of the dead-man time.
  const refreshMs = death.kind === 'opens' ? Math.floor(death.withinMs / 3) : UNSUPERVISED_REFRESH_MS
  let commanded: Position = 'open'
  let sentAt = clock.mono()
  let sending = 0
  /** Counts the changes of `commanded`. */
  let turn = 0
  let busy = false
  let looking = false
  let lookedAt: Mono | undefined

  /** The answer of the hardware, or a fault once it has had its time. */
  function bounded<T>(work: Promise<Result<T>>, what: string): Promise<Result<T>> {
    return new Promise(resolve => {
      const cancel = afterListening(deadlineMs, clock, timers, () =>
        resolve(fail({ code: 'control.no-answer', contact, what, deadlineMs })),
      )
      void work.then(result => {
        cancel()
        resolve(result)
      })
    })
  }

  function lose(fault: Fault): void {
    if (drive.look?.seen !== 'unknown') log('warn', 'relays', `${contact} is not known to be ${commanded}`, fault)
    drive.look = { seen: 'unknown', at: clock.mono() }
    onTrouble()
  }

  async function look(): Promise<void> {
    looking = true
    const [begun, of] = [clock.mono(), turn]
    lookedAt = begun
    const seen = relay.observe().then((observed): Result<Position> => {
      return observed.seen === 'unknown' ? fail(observed.why) : ok(observed.seen)
    })
    const answer = await bounded(seen, 'observe')
    looking = false
    // What began before the last command may show the position before it.
    if (of !== turn) return
    if (answer.ok) drive.look = { seen: answer.value, at: begun }
    else lose(answer.fault)
  }

  const drive: Drive = {
    unsupervised: death.kind === 'stays',
    look: undefined,
    async send(position) {
      if (commanded !== position) {
        turn++
        drive.look = undefined
      }
      commanded = position
      sentAt = clock.mono()
      busy = true
      const order = ++sending
      const result = await bounded(relay.command(position), position)
      if (order !== sending) return
      busy = false
      if (!result.ok) lose(result.fault)
    },
    refresh() {
      const sinceSent = clock.mono() - sentAt
      const again = commanded === 'closed' ? refreshMs : REOPEN_MS
      const wanted = commanded === 'closed' || drive.look?.seen !== 'open'
      if (wanted && !busy && sinceSent >= again) void drive.send(commanded)
    },
    tend(settled) {
      drive.refresh()
      const now = clock.mono()
      if (!looking && (lookedAt === undefined || now >= later(lookedAt, settled ? LOOK_MS : LOOP_MS))) void look()
    },
  }
  return drive
}
