import pytest
from shop.models import Order


@pytest.mark.django_db
@pytest.mark.parametrize("thing", ["hat", "shoe", "sock"])
def test_an_order_is_stored(thing):
    Order.objects.create(thing=thing)

    assert [order.thing for order in Order.objects.all()] == [thing]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_left_of_it():
    assert not Order.objects.exists()
