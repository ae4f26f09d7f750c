/**
 * One relay under control: commanded, refreshed before its dead-man time is over, and looked at, with a deadline on every
 * answer. What it does not answer, or answers wrongly, is its trouble, and its position is unknown.
 */
import { afterListening } from '../../drivers/listening.ts'
import type { Clock, Log, Relay, Timers } from '../../drivers/ports.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Position, Seen } from '../../protocol/safety/facts.ts'
import { later, type Mono } from '../../protocol/time.ts'
import { LOOP_MS } from './rest.ts'
import type { ContactId } from './state.ts'

/** A settled contact is looked at this often: three looks within the time after which it counts as unseen. */
const LOOK_MS = 300
/** An opening that is not seen yet is commanded again this often. */
const REOPEN_MS = 300
/** A closed contact without a dead-man timer is still commanded again, in case its board was reset. */
const UNSUPERVISED_REFRESH_MS = 1000

/** One relay under control: its last command, and the last look at it. */
export interface Drive {
  readonly unsupervised: boolean
  look: { readonly seen: Seen; readonly at: Mono } | undefined
  /** What is wrong with the relay now: it does not answer, answers with a fault, or stands elsewhere than commanded. */
  trouble(): Fault | undefined
  /** Resolves when the relay has answered or has had its time. */
  send(position: Position): Promise<void>
  /** Repeats the command as is due. */
  refresh(): void
  /** The same, and looks as is due. */
  tend(settled: boolean): void
}

export function createDrive(
  contact: ContactId,
  relay: Relay,
  deadlineMs: number,
  { clock, timers, log }: { readonly clock: Clock; readonly timers: Timers; readonly log: Log },
  onTrouble: () => void,
): Drive {
  const death = relay.onAgentDeath
  // A third, or sooner where the round of the loop after that would come later than half of the dead-man time.
  const refreshMs =
    death.kind === 'opens' ? Math.min(death.withinMs / 3, death.withinMs / 2 - LOOP_MS) : UNSUPERVISED_REFRESH_MS
  let commanded: Position = 'open'
  let sentAt = clock.mono()
  let sending = 0
  /** Counts the changes of `commanded`. */
  let turn = 0
  let busy = false
  let looking = false
  let lookedAt: Mono | undefined
  /** Of the last command, and of the last look. */
  let [refused, unseen]: [Fault | undefined, Fault | undefined] = [undefined, undefined]
  /** Since when it is commanded where it is. */
  let turnedAt = sentAt

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
    unseen = answer.ok ? undefined : answer.fault
    // What began before the last command may show the position before it.
    if (of !== turn) return
    if (!answer.ok) return lose(answer.fault)
    drive.look = { seen: answer.value, at: begun }
    // An opening is commanded again until it is seen, and then no more: nothing else would say that it is well.
    if (commanded === 'open' && answer.value === 'open') refused = undefined
  }

  const drive: Drive = {
    unsupervised: death.kind === 'stays',
    look: undefined,
    trouble() {
      const fault = refused ?? unseen
      if (fault !== undefined) return fault
      const { look: last } = drive
      if (last === undefined || last.seen === commanded || last.at <= later(turnedAt, deadlineMs)) return undefined
      return { code: 'control.elsewhere', contact, commanded, seen: last.seen, limitMs: deadlineMs }
    },
    async send(position) {
      if (commanded !== position) {
        turn++
        turnedAt = clock.mono()
        drive.look = undefined
      }
      commanded = position
      sentAt = clock.mono()
      busy = true
      const order = ++sending
      const result = await bounded(relay.command(position), position)
      if (order !== sending) return
      busy = false
      refused = result.ok ? undefined : result.fault
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
