// A Stripe subscription, as far as its revenue depends on it.

/** The fields that are read. Amounts beyond 2^53 are BigInts. */
export interface Subscription {
  id: string;
  status: string;
  currency: string;
  items: { data: Item[] };
}

interface Item {
  quantity?: number;
  price: {
    unit_amount: number | bigint | null;
    recurring: { interval: Interval; interval_count: number } | null;
  };
}

type Interval = "day" | "week" | "month" | "year";

/** Intervals in a month, as a fraction of whole numbers. */
const PER_MONTH: Record<Interval, [bigint, bigint]> = {
  day: [365n, 12n],
  week: [52n, 12n],
  month: [1n, 1n],
  year: [1n, 12n],
};

/** What a subscription brings in a month, in the currency's smallest unit, rounded down. */
export function monthly(subscription: Subscription): bigint {
  const paying = ["active", "past_due"].includes(subscription.status);
  if (!paying) return 0n;
  return subscription.items.data.reduce((sum, { quantity, price }) => {
    if (!price.recurring || price.unit_amount === null) return sum;
    const { interval, interval_count } = price.recurring;
    const [times, months] = PER_MONTH[interval];
    const amount = BigInt(price.unit_amount) * BigInt(quantity ?? 1);
    return sum + (amount * times) / (months * BigInt(interval_count));
  }, 0n);
}

/** Reads `data.object` as a subscription, or says what is wrong with it. */
export function subscription(value: unknown): Subscription {
  const { id, status, currency, items } = value as Partial<Subscription>;
  if (!id || !status || !currency) throw new TypeError("no subscription");
  if (!Array.isArray(items?.data)) throw new TypeError(`${id} has no items`);
  return { id, status, currency, items };
}
