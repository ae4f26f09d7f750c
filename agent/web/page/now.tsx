/** What is now: of a street its picture and its sites, of one site the household's picture and its direct lines. */
import type { ContactView, LineView, SiteView, Snapshot } from '../snapshot.ts'
import { flowsOf, whyOpen } from './balance.ts'
import { Bill } from './bill.tsx'
import { coins, gridFlow, power, UNKNOWN } from './format.ts'
import { Household } from './household.tsx'
import { Heading } from './parts.tsx'
import { linkTo } from './routes.ts'
import { energised, kindOf, proofSentence } from './sentences.ts'
import { Street } from './street.tsx'

/** `name` is that of one site of a street. */
export function Now({ snapshot, name }: { readonly snapshot: Snapshot; readonly name: string | undefined }) {
  const { sites } = snapshot
  const site = sites.length === 1 ? sites[0] : sites.find(each => each.name === name)
  if (site !== undefined) return <OneSite snapshot={snapshot} site={site} />
  return (
    <>
      <Heading>Now</Heading>
      <Street snapshot={snapshot} />
      <div class="sites">
        {sites.map(each => (
          <SiteCard key={each.name} site={each} />
        ))}
      </div>
    </>
  )
}

function OneSite({ snapshot, site }: { readonly snapshot: Snapshot; readonly site: SiteView }) {
  const lines = snapshot.lines.filter(line => line.seller === site.name || line.buyer === site.name)
  const among = snapshot.sites.length > 1
  return (
    <>
      <Heading>{among ? site.name : 'Now'}</Heading>
      {among && (
        <p class="back">
          <a href={linkTo('now')}>Back to the street</a>
        </p>
      )}
      <section class="card now" aria-label={`Power of ${site.name}`}>
        <Headline site={site} />
        <Household site={site} lines={lines} />
      </section>
      {lines.length > 0 && <Lines site={site} lines={lines} snapshot={snapshot} />}
      {snapshot.billed && !among && <Bill period="day" />}
    </>
  )
}

/** The one number that is read from across the room. */
function Headline({ site }: { readonly site: SiteView }) {
  const mw = site.powerMw
  const [number, unit = ''] = power(mw).split(' ')
  const words = !site.up
    ? 'The agent does not answer'
    : mw === null
      ? 'The grid meter does not answer'
      : { t: 'taken from the grid', g: 'given to the grid', b: 'in balance with the grid' }[gridFlow(mw)[0] as 't']
  return (
    <p class={`headline ${mw === null ? 'unknown' : mw > 0 ? 'taking' : 'giving'}`}>
      {mw !== null && (
        <strong>
          {number}
          <span class="unit"> {unit}</span>
        </strong>
      )}{' '}
      <span>{words}</span>
    </p>
  )
}

interface LinesOf {
  readonly site: SiteView
  readonly lines: readonly LineView[]
  readonly snapshot: Snapshot
}

const Lines = ({ site, lines, snapshot }: LinesOf) => (
  <section class="card" aria-labelledby="lines-title">
    <h2 id="lines-title">Direct lines</h2>
    <ul class="direct-lines">
      {lines.map(line => {
        const flows = flowsOf(site, [line])
        const contacts = site.contacts.filter(contact => contact.line === line.id)
        const deal = snapshot.deals.find(each => each.line === line.id && each.state === 'started')
        return (
          <li key={line.id} class={energised(line) ? 'lit' : ''} data-line={line.id}>
            <p>
              <b class="line-id">{line.id}</b> {line.seller === site.name ? 'to' : 'from'}{' '}
              <b class="peer">{line.seller === site.name ? line.buyer : line.seller}</b>{' '}
              <strong>{flows.find(({ id }) => id === line.id)?.text}</strong>
            </p>
            <Contacts contacts={contacts} />
            <p class="why">
              {energised(line)
                ? (deal?.proof && `${proofSentence(deal.proof)}.`) || 'A deal runs on it.'
                : sentence(whyOpen(site, line))}
            </p>
          </li>
        )
      })}
    </ul>
  </section>
)

const sentence = (words: string) =>
  `${words.slice(0, 1).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? '' : '.'}`

const ROLE: Readonly<Record<ContactView['role'], string>> = { line: 'line', upstream: 'upstream', own: 'own supply' }

const Contacts = ({ contacts }: { readonly contacts: readonly ContactView[] }) => (
  <ul class="contacts" aria-label="Contacts">
    {contacts.map(({ role, observed, commanded }) => (
      <li key={role} class={observed}>
        <Switch closed={observed === 'closed'} />
        <span>
          {ROLE[role]} <strong>{observed === 'unknown' ? 'not seen' : observed}</strong>
          {observed !== commanded && <em>, commanded {commanded}</em>}
        </span>
      </li>
    ))}
  </ul>
)

const Switch = ({ closed }: { readonly closed: boolean }) => (
  <svg viewBox="0 0 24 12" width="24" height="12" aria-hidden="true">
    <path class="blade" d={closed ? 'M1 8H23' : 'M1 8H7M17 8H23M7 8 16 2'} />
    <circle class="pin" cx="7" cy="8" r="2" />
    <circle class="pin" cx="17" cy="8" r="2" />
  </svg>
)

/** A site of a street, in short; all of it is a link away. */
function SiteCard({ site }: { readonly site: SiteView }) {
  const worst = site.health.some(({ level }) => level === 'fault') ? 'fault' : 'warning'
  return (
    <article
      class={site.up ? 'card site' : 'card site down'}
      id={`site-${site.name}`}
      aria-labelledby={`name-${site.name}`}
    >
      <header>
        <div>
          <h2 id={`name-${site.name}`}>
            <a class="site-link" href={linkTo('now', site.name)}>
              {site.name}
            </a>
          </h2>
          <p class="quiet">{kindOf(site)}</p>
        </div>
        {site.health.length > 0 && (
          <a class={`badge ${worst}`} href={linkTo('health')}>
            {site.health.length} {worst === 'fault' ? 'to see to' : 'to know'}
          </a>
        )}
      </header>
      <dl class="figures">
        <div class="figure grid">
          <dt>Grid</dt>
          <dd>{site.up ? gridFlow(site.powerMw) : 'not answering'}</dd>
        </div>
        {site.solarMw !== null && (
          <div class="figure sun">
            <dt>Solar</dt>
            <dd>{power(site.solarMw)}</dd>
          </div>
        )}
        {site.chargePermille !== null && (
          <div class="figure charge">
            <dt>Battery</dt>
            <dd>{Math.round(site.chargePermille / 10)} %</dd>
          </div>
        )}
        <div class="figure wallet">
          <dt>Wallet</dt>
          <dd>{site.walletMicro === null ? UNKNOWN : coins(site.walletMicro)}</dd>
        </div>
      </dl>
    </article>
  )
}
