"""Does what a shop does, with Stripe's official library, at the Stripe whose base URL is given.

    shop.py BASE_URL     prints one object a line: what that Stripe has of it in the end
"""

import json
import sys

import stripe

DOUBTFUL = 12
"""Customers that change several times within a second: nothing tells the order of the changes."""


def doubtful(number: int) -> stripe.Customer:
    customer = stripe.Customer.create(email=f"ada{number}@example.com", description="first")
    for description in ("second", "third", "fourth"):
        stripe.Customer.modify(customer.id, description=description)
    return stripe.Customer.retrieve(customer.id)


def gone() -> dict:
    customer = stripe.Customer.create(email="gone@example.com")
    stripe.Customer.modify(customer.id, description="going")
    return stripe.Customer.delete(customer.id).to_dict()


def paying(plan: stripe.Plan) -> list[stripe.StripeObject]:
    customer = stripe.Customer.create(email="bob@example.com")
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    stripe.Customer.create_source(customer.id, source=stripe.Token.create(card=card).id)
    subscription = stripe.Subscription.create(customer=customer.id, items=[{"plan": plan.id}])
    return [
        stripe.Subscription.retrieve(subscription.id),
        stripe.Invoice.retrieve(subscription.latest_invoice),
    ]


def main() -> None:
    stripe.api_key = "sk_test_localstripe"
    stripe.api_base = sys.argv[1]
    stripe.max_network_retries = 0
    product = stripe.Product.create(name="Box", type="service")
    plan = stripe.Plan.create(
        product=product.id, amount=2500, currency="eur", interval="month", nickname="Monthly"
    )
    made = [product, plan, *(doubtful(number) for number in range(DOUBTFUL)), *paying(plan)]
    for found in made:
        print(json.dumps(found.to_dict()), flush=True)
    print(json.dumps(gone()), flush=True)


if __name__ == "__main__":
    main()
