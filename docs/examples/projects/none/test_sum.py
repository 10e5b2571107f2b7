def test_that_needs_no_database():
    assert 1 + 1 == 2
