from django.db import models


class Order(models.Model):
    thing = models.TextField()

    def __str__(self):
        return self.thing
